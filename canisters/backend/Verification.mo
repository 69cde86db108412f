/// Compares two manifests and the state of a canister with what a finished creation must look like. Has no state and
/// calls nobody.
import Array "mo:core/Array";
import List "mo:core/List";
import Nat64 "mo:core/Nat64";
import Nat8 "mo:core/Nat8";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Capsule "../capsule/Types";
import ApiCompatibility "ApiCompatibility";
import Types "Types";

module {
  /// Every count, size and hash, in words where they differ. `revision` and `taken_at` belong to each side alone.
  public func compare(
    source : Capsule.CapsuleManifest,
    target : Capsule.CapsuleManifest,
    targetId : Principal,
  ) : Types.VerificationReport {
    let differences = List.empty<Text>();
    func texts(what : Text, a : Text, b : Text) {
      if (a != b) differences.add(what # ": source " # a # ", target " # b);
    };
    func counts(what : Text, a : Nat64, b : Nat64) { texts(what, Nat64.toText(a), Nat64.toText(b)) };
    texts("scheme", source.scheme, target.scheme);
    texts("capsule_id", source.capsule_id, target.capsule_id);
    if (target.origin != targetId) {
      differences.add("origin: the manifest names " # target.origin.toText() # " instead of the target itself");
    };
    if (not ApiCompatibility.compatible(source.api_version, target.api_version)) {
      texts("api_version", source.api_version, target.api_version # " (another major version)");
    };
    counts("memories", source.memories, target.memories);
    counts("galleries", source.galleries, target.galleries);
    counts("connections", source.connections, target.connections);
    counts("connection_groups", source.connection_groups, target.connection_groups);
    counts("content_size", source.content_size, target.content_size);
    texts("manifest_hash", hex(source.manifest_hash), hex(target.manifest_hash));
    { matches = differences.isEmpty(); source; target; differences = differences.toArray(); handoff_until = null };
  };

  /// What it takes to complete a creation whose canister has these controllers.
  public func notHandedOver(controllers : [Principal], owner : Principal) : Text {
    let names = controllers.map(Principal.toText);
    "The controllers must be set to exactly the owner " # owner.toText() # "; they are: "
    # Text.join(names.values(), ", ") # ".";
  };

  /// Two lower-case digits for each byte.
  public func hex(bytes : Blob) : Text {
    let digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];
    var text = "";
    for (byte in bytes.values()) {
      let n = Nat8.toNat(byte);
      text #= digits[n / 16] # digits[n % 16];
    };
    text;
  };
};
