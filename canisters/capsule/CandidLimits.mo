/// How much of a reply is decoded at most, whatever its size. With the compiler's own limits one reply of 2 MB, whose type
/// table has a variant of some thousand cases, takes all instructions that there are, and an owner may put any module into a
/// canister that the backend asks. Arguments of methods have limits of their own, which hold while the method is called
/// (`ArgumentLimits`).
///
/// To be set whenever the actor starts, since the compiler's settings are made anew then.
import Prim "mo:prim";

module {
  /// A type table may be `times` as long as ours, and 64 bytes more: newer canisters know fields that this one doesn't.
  public func setTypeTables<system>(times : Nat32) {
    Prim.setCandidTypeLimits<system>({ scalar = times; bias = 64 });
  };

  /// Values, also those that are skipped. The longest reply that is expected lists the last changes of a canister, some
  /// hundred values; a memory's packed record (`Packed`) has less.
  public func setValues<system>() {
    Prim.setCandidLimits<system>({ numerator = 0; denominator = 1; bias = 4_000 });
  };
};
