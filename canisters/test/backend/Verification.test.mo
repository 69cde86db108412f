import Iter "mo:core/Iter";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import { type Test; same; test } "../Test";
import Types "../../capsule/Types";
import Verification "../../backend/Verification";

module {
  func source() : Principal = Principal.fromBlob("\01");
  func target() : Principal = Principal.fromBlob("\02");

  func manifest() : Types.CapsuleManifest = {
    scheme = "canister-factory-manifest-2";
    capsule_id = "cap-1";
    origin = source();
    api_version = "1.0.0";
    revision = 5;
    taken_at = 10;
    memories = 1;
    galleries = 2;
    connections = 3;
    connection_groups = 4;
    content_size = 1_000;
    manifest_hash = "\de\ad";
  };

  func copy() : Types.CapsuleManifest = { manifest() with origin = target() };

  let nothing : Types.Beside = {
    capsules = 0;
    items = 0;
    people = 0;
    uploads = 0;
    nonces = 0;
    pending_memories = 0;
    pending_bytes = 0;
  };

  /// In a word each, what differs between the manifest and that of the target.
  func differences(there : Types.CapsuleManifest) : Text = told({ manifest = there; imported = ?there; beside = nothing; closed_until = null });

  func told(held : Verification.Held) : Text {
    let report = Verification.compare(manifest(), held, target());
    assert report.matches == (report.differences.size() == 0);
    func field(difference : Text) : Text = switch (Text.split(difference, #char ':').next()) {
      case (?name) name;
      case null "";
    };
    Text.join(report.differences.values().map(field), " ");
  };

  public func tests() : [Test] = [
    test("a copy is equal, whatever its own revision and time", func() {
      same(differences({ manifest() with origin = target(); revision = 1; taken_at = 99 }), "");
    }),
    test("a manifest of another canister is none of the target", func() { same(differences(manifest()), "origin") }),
    test("each count, size and hash is compared", func() {
      same(differences({ copy() with scheme = "another" }), "scheme");
      same(differences({ copy() with capsule_id = "cap-2" }), "capsule_id");
      same(differences({ copy() with memories = 0 }), "memories");
      same(differences({ copy() with galleries = 0 }), "galleries");
      same(differences({ copy() with connections = 0 }), "connections");
      same(differences({ copy() with connection_groups = 0 }), "connection_groups");
      same(differences({ copy() with content_size = 999 }), "content_size");
      same(differences({ copy() with manifest_hash = "\de\ae" }), "manifest_hash");
    }),
    test("API versions of one major number are no difference", func() {
      same(differences({ manifest() with origin = target(); api_version = "1.2.0" }), "");
      same(differences({ manifest() with origin = target(); api_version = "2.0.0" }), "api_version");
    }),
    test("what the target holds beside the capsule is a difference, whatever it is", func() {
      let held = { manifest = copy(); imported = ?copy(); beside = nothing; closed_until = null };
      same(told held, "");
      for (
        beside in ([
          { nothing with capsules = 1 : Nat64 },
          { nothing with items = 1 : Nat64 },
          { nothing with people = 1 : Nat64 },
          { nothing with uploads = 1 : Nat64 },
          { nothing with nonces = 1 : Nat64 },
          { nothing with pending_memories = 1 : Nat64 },
          { nothing with pending_bytes = 1 : Nat64 },
        ] : [Types.Beside]).values()
      ) same(told({ held with beside }), "beside");
      same(told({ held with beside = { nothing with uploads = 2; nonces = 3 } }), "beside beside");
    }),
    test("an import must be final, and what it left must still be there", func() {
      let held = { manifest = copy(); imported = null; beside = nothing; closed_until = null };
      same(told held, "imported");
      same(told({ held with imported = ?{ copy() with manifest_hash = "\de\ae" : Blob } }), "imported");
    }),
    test("all differences are told at once", func() {
      same(differences({ manifest() with memories = 0; galleries = 0 }), "origin memories galleries");
    }),
    test("hexadecimal text has two digits for each byte", func() {
      same(Verification.hex(""), "");
      same(Verification.hex("\00\0f\a0\ff"), "000fa0ff");
    }),
  ];
};
