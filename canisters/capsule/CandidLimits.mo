/// How much of a message is decoded at most, whatever its size. With the compiler's own limits one message of 2 MB, whose
/// type table has a variant of some thousand cases, takes all instructions that there are, and a canister may send it to
/// any method.
import Prim "mo:prim";

module {
  /// To be called whenever the actor starts, since the compiler's settings are made anew then. A type table may be
  /// `typeTables` times as long as ours, and 64 bytes more: newer clients and canisters know fields that this one doesn't.
  public func set<system>(typeTables : Nat32) {
    Prim.setCandidTypeLimits<system>({ scalar = typeTables; bias = 64 });
    // Values, also those that are skipped: in a batch of items there is one for six bytes, and the smallest entries of a
    // gallery, 5,000 of six values in 45,000 bytes, need what is added.
    Prim.setCandidLimits<system>({ numerator = 1; denominator = 4; bias = 32_000 });
  };
};
