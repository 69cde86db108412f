import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import { type Test; same; test } "../Test";
import Limits "../../capsule/Limits";
import Types "../../capsule/Types";
import Validate "../../capsule/Validate";

module {
  func chars(count : Nat) : Text = Text.fromIter(Array.repeat('ß', count).values());

  func nested(depth : Nat) : Types.MemoryAccess {
    if (depth == 1) #Public else #Scheduled { accessible_after = 0; access = nested(depth - 1) };
  };

  func hashed(bytes : Nat) : Types.BlobRef = {
    kind = #ICPCapsule;
    locator = "";
    hash = ?Blob.fromArray(Array.repeat<Nat8>(7, bytes));
  };

  func limitOf(problem : Validate.Problem) : Text = switch problem {
    case (?#LimitExceeded { what; limit; actual }) what # ": " # debug_show actual # " > " # debug_show limit;
    case other debug_show other;
  };

  func fieldOf(problem : Validate.Problem) : Text = switch problem {
    case (?#InvalidArgument { field }) field;
    case other debug_show other;
  };

  let base : Types.MemoryMetadataBase = {
    size = 1;
    mime_type = "text/plain";
    original_name = "letter.txt";
    uploaded_at = "2024-01-31T09:05:00Z";
    date_of_memory = null;
    people_in_memory = null;
    format = null;
  };

  public func tests() : [Test] = [
    test("of several problems the first is named", func() {
      let problem = Validate.first([null, Validate.invalid("b", ""), Validate.invalid("c", "")]);
      same(fieldOf(problem), "b");
      assert Validate.first([null, null]) == null;
    }),
    test("a limit may be reached and not passed", func() {
      assert Validate.most("bytes", 5, 5) == null;
      same(limitOf(Validate.most("bytes", 5, 6)), "bytes: 6 > 5");
    }),
    test("texts are counted in characters, not in bytes", func() {
      assert Validate.name("name", chars(Limits.nameChars)) == null;
      same(limitOf(Validate.name("name", chars(Limits.nameChars + 1))), "characters of name: 256 > 255");
    }),
    test("a name isn't empty, an optional text may be absent", func() {
      same(fieldOf(Validate.name("name", "")), "name");
      assert Validate.optText("description", null, 0) == null;
      same(limitOf(Validate.optText("description", ?"a", 0)), "characters of description: 1 > 0");
    }),
    test("the anonymous principal is no person", func() {
      same(fieldOf(Validate.person("peer", #Principal(Principal.anonymous()))), "peer");
      assert Validate.person("peer", #Principal(Principal.fromBlob("\01"))) == null;
      same(fieldOf(Validate.person("peer", #Opaque "")), "peer");
    }),
    test("a list of people has a limit, and each of them is looked at", func() {
      let ada : Types.PersonRef = #Opaque "Ada";
      assert Validate.people("members", [ada, ada], 2) == null;
      same(limitOf(Validate.people("members", [ada, ada, ada], 2)), "entries of members: 3 > 2");
      same(fieldOf(Validate.people("members", [ada, #Opaque ""], 2)), "members");
    }),
    test("access rules may be eight deep", func() {
      assert Validate.access(nested(8)) == null;
      same(limitOf(Validate.access(nested(9))), "nesting of access: 9 > 8");
    }),
    test("what is within an access rule is looked at", func() {
      let rule : Types.MemoryAccess = #Custom { individuals = [#Opaque ""]; groups = [] };
      same(fieldOf(Validate.access(#Scheduled { accessible_after = 0; access = rule })), "access.individuals");
      let event : Types.MemoryAccess = #EventTriggered { trigger_event = #Custom ""; access = #Public };
      same(fieldOf(Validate.access(event)), "access.trigger_event");
    }),
    test("metadata is that of the memory's type", func() {
      assert Validate.metadata(#Note, #Note { base; tags = null }) == null;
      same(fieldOf(Validate.metadata(#Image, #Note { base; tags = null })), "metadata");
    }),
    test("metadata of every type has its base looked at", func() {
      let wrong = { base with mime_type = "" };
      same(fieldOf(Validate.metadata(#Document, #Document { base = wrong })), "metadata.base.mime_type");
      same(fieldOf(Validate.metadata(#Note, #Note { base = wrong; tags = null })), "metadata.base.mime_type");
      same(fieldOf(Validate.metadata(#Note, #Note { base; tags = ?[""] })), "metadata.tags");
    }),
    test("a checksum has 32 bytes", func() {
      assert Validate.blobRef(hashed 32) == null;
      same(fieldOf(Validate.blobRef(hashed 31)), "blob_ref.hash");
      same(fieldOf(Validate.blobRef(hashed 33)), "blob_ref.hash");
    }),
    test("bytes that are kept elsewhere have a place there", func() {
      let elsewhere = { kind = #MemoryBlobKindExternal; locator = ""; hash = null };
      same(fieldOf(Validate.blobRef(elsewhere)), "blob_ref.locator");
      assert Validate.blobRef({ elsewhere with locator = "s3://family/1" }) == null;
    }),
  ];
};
