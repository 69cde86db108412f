/// How much of a message is decoded at most, whatever its size. With the compiler's own limits one message of 2 MB, whose
/// type table has a variant of some thousand cases, takes all instructions that there are, and a canister may send it to
/// any method.
///
/// To be set whenever the actor starts, since the compiler's settings are made anew then.
import Prim "mo:prim";

module {
  /// A type table may be `times` as long as ours, and 64 bytes more: newer clients and canisters know fields that this one
  /// doesn't.
  public func setTypeTables<system>(times : Nat32) {
    Prim.setCandidTypeLimits<system>({ scalar = times; bias = 64 });
  };

  /// Values, also those that are skipped. A gallery has one for eight bytes; what is added is for 5,000 entries with short
  /// ids, and for rules with many short names.
  public func setValues<system>() {
    Prim.setCandidLimits<system>({ numerator = 1; denominator = 8; bias = 32_000 });
  };
};
