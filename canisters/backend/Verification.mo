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
  /// What a personal canister says that it holds: the manifest of that and of its finished import, and what is there beside.
  public type Held = {
    manifest : Capsule.CapsuleManifest;
    imported : ?Capsule.CapsuleManifest;
    beside : Capsule.Beside;
    /// Its owner lets it be compared as it is now; else `manifest` is that of the import.
    closed_until : ?Nat64;
  };

  /// Every count, size and hash, in words where they differ, and what the target has that it shouldn't. `revision` and
  /// `taken_at` belong to each side alone.
  public func compare(
    source : Capsule.CapsuleManifest,
    held : Held,
    targetId : Principal,
  ) : Types.VerificationReport {
    let target = held.manifest;
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
    switch (held.imported) {
      case (?imported) if (imported.manifest_hash != target.manifest_hash) differences.add(
        "imported: the target has changed since its import, whose manifest is " # hex(imported.manifest_hash)
      );
      case null differences.add("imported: the target's import is not final");
    };
    let { capsules; items; people; uploads; nonces; pending_memories; pending_bytes } = held.beside;
    func beside(what : Text, count : Nat64) {
      if (count != 0) differences.add("beside: the target has more than the capsule: " # Nat64.toText(count) # " " # what);
    };
    beside("further capsules", capsules);
    beside("memories or galleries of none", items);
    beside("people whom the capsule doesn't name", people);
    beside("uploads", uploads);
    beside("nonces", nonces);
    beside("memories that aren't committed", pending_memories);
    beside("bytes of uncommitted chunks", pending_bytes);
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
