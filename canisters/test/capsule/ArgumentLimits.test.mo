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
      assert to_candid (id).size() <= ArgumentLimits.most(#get_capsule);
      assert to_candid (#Opaque id : Types.PersonRef, #Accepted : Types.ConnectionStatus).size() <= ArgumentLimits.most(#update_connection_status);
      assert to_candid (?id, { after = ?id; limit = ?(100 : Nat32) }).size() <= ArgumentLimits.most(#list_capsule_memories);
      assert to_candid (id, #Custom id : Types.AccessEvent).size() <= ArgumentLimits.most(#record_capsule_event);
    }),
    test("the largest chunk fits", func() {
      let bytes = Blob.fromArray(Array.repeat<Nat8>(0, Limits.chunkBytes));
      let sum = Blob.fromArray(Array.repeat<Nat8>(0, 32));
      assert to_candid (1 : Nat64, 1 : Nat32, bytes, sum).size() <= ArgumentLimits.most(#put_memory_upload_chunk);
    }),
    test("methods that carry no bytes take at most 8 kB", func() {
      assert ArgumentLimits.most(#whoami) <= ArgumentLimits.small and ArgumentLimits.most(#fail_creation) <= ArgumentLimits.small;
    }),
  ];
};
