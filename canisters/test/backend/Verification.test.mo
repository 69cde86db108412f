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
    scheme = "canister-factory-manifest-1";
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

  /// In a word each, what differs between the manifest and that of the target.
  func differences(there : Types.CapsuleManifest) : Text {
    let report = Verification.compare(manifest(), there, target());
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
      let copy = { manifest() with origin = target() };
      same(differences({ copy with scheme = "another" }), "scheme");
      same(differences({ copy with capsule_id = "cap-2" }), "capsule_id");
      same(differences({ copy with memories = 0 }), "memories");
      same(differences({ copy with galleries = 0 }), "galleries");
      same(differences({ copy with connections = 0 }), "connections");
      same(differences({ copy with connection_groups = 0 }), "connection_groups");
      same(differences({ copy with content_size = 999 }), "content_size");
      same(differences({ copy with manifest_hash = "\de\ae" }), "manifest_hash");
    }),
    test("API versions of one major number are no difference", func() {
      same(differences({ manifest() with origin = target(); api_version = "1.2.0" }), "");
      same(differences({ manifest() with origin = target(); api_version = "2.0.0" }), "api_version");
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
