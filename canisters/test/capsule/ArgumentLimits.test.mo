import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Nat "mo:core/Nat";
import { type Test; test } "../Test";
import ArgumentLimits "../../capsule/ArgumentLimits";
import Limits "../../capsule/Limits";
import Types "../../capsule/Types";

module {
  /// A text of so many characters of four bytes each, which is the most that UTF-8 takes.
  func long(chars : Nat) : Text {
    var text = "";
    for (_ in Nat.range(0, chars)) text #= "\u{1F600}";
    text;
  };

  public func tests() : [Test] = [
    test("the longest id fits", func() {
      let id = long(Limits.nameChars);
      let person : Types.PersonRef = #Opaque id;
      let status : Types.ConnectionStatus = #Accepted;
      let event : Types.AccessEvent = #Custom id;
      let alone = to_candid (id);
      let connection = to_candid (person, status);
      let happened = to_candid (id, event);
      assert alone.size() <= ArgumentLimits.most(#get_capsule);
      assert connection.size() <= ArgumentLimits.most(#update_connection_status);
      assert happened.size() <= ArgumentLimits.most(#record_capsule_event);
      assert happened.size() <= ArgumentLimits.most(#revoke_capsule_event);
      let kind : Types.EventKind = #AfterDeath;
      let chosen : ?Nat64 = ?1;
      let period = to_candid (id, kind, chosen);
      assert period.size() <= ArgumentLimits.most(#set_event_wait);
    }),
    test("the largest chunk fits", func() {
      let bytes = Blob.fromArray(Array.repeat<Nat8>(0, Limits.chunkBytes));
      let sha256 = Blob.fromArray(Array.repeat<Nat8>(0, 32));
      let chunk = to_candid (1 : Nat64, 1 : Nat32, bytes, sha256);
      assert chunk.size() <= ArgumentLimits.most(#put_memory_upload_chunk);
    }),
    test("the longest message about a creation fits what callers may send who have no standing", func() {
      assert ArgumentLimits.most(#fail_creation) <= ArgumentLimits.small;
      assert ArgumentLimits.most(#fail_creation) >= 4 * Limits.messageChars;
    }),
    test("canisters may send no more than people, and nothing of an import", func() {
      assert ArgumentLimits.anyones(#put_memory_upload_chunk) < ArgumentLimits.most(#put_memory_upload_chunk);
      assert ArgumentLimits.anyones(#get_capsule) == ArgumentLimits.most(#get_capsule);
      assert ArgumentLimits.anyones(#update_gallery) == ArgumentLimits.small;
      assert ArgumentLimits.anyones(#put_items) == 0;
    }),
    test("a memory with as many names and tags as it may have is decoded, also of its packed form", func() {
      let names = Limits.peopleInMemory + Limits.tags;
      assert names + 100 < ArgumentLimits.values(#add_memory_to_capsule);
      assert names + 100 < ArgumentLimits.values(#get_memory_from_capsule);
    }),
  ];
};
