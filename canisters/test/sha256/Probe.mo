/// SHA-256 to be asked from outside (`tests/unit/canisters/test_sha256_block.py`): one-shot, in parts, and kept over messages.
import Array "mo:core/Array";
import Prim "mo:prim";
import Sha256 "../../capsule/sha256/Sha256";

persistent actor {
  let kept = Sha256.new();

  public query func hash(data : Blob) : async Blob { Sha256.hash data };

  public query func hash_from(data : Blob, start : Nat) : async Blob { Sha256.hashFrom(data, start) };

  /// The digest after each of the parts.
  public query func digests(parts : [Blob]) : async [Blob] {
    let state = Sha256.new();
    Array.map<Blob, Blob>(parts, func part { Sha256.update(state, part); Sha256.digest state });
  };

  /// Bytes that were collected as garbage so far.
  public query func reclaimed() : async Nat { Prim.rts_reclaimed() };

  public func append(data : Blob) : async Blob { Sha256.update(kept, data); Sha256.digest kept };
};
