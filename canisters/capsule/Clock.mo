/// The canister's clock. Owns nothing else; modules take the time as an argument.
import Nat64 "mo:core/Nat64";
import Time "mo:core/Time";

module {
  /// Nanoseconds since 1970, the same for a whole message.
  public func now() : Nat64 = Nat64.fromIntWrap(Time.now());
};
