/// What a request for a personal canister may ask for, and how many there may be. Has no state.

import Char "mo:core/Char";
import Iter "mo:core/Iter";
import Nat "mo:core/Nat";
import Principal "mo:core/Principal";
import Text "mo:core/Text";

import Errors "CreationErrors";
import T "BackendTypes";

module {
  /// Creations in progress at a time, over all owners.
  public let MAX_OPEN = 100;
  /// New attempts within one hour, over all owners.
  public let MAX_ATTEMPTS_PER_HOUR : Nat64 = 1_000;
  public let HOUR_NS : Nat64 = 3_600_000_000_000;
  /// After a successful verification the owner's writes stay refused this long even without a lease, so that another
  /// worker can finish a handoff that was begun: once the owner controls the canister, nobody could copy a late write.
  public let HANDOFF_NS : Nat64 = 600_000_000_000;
  let MAX_NAME_CHARS = 100;

  /// Null when the config is fine. `subnet_id` is recorded with the creation for whoever runs the backend: `create_canister`
  /// of the management canister has no such argument and places the canister on the backend's own subnet.
  public func check(config : T.CreatePersonalCanisterConfig) : ?T.CreationError {
    switch (config.name) {
      case (?name) {
        if (name == "" or Text.size(name) > MAX_NAME_CHARS) {
          return ?Errors.invalid(
            "config.name has " # Nat.toText(Text.size(name)) # " characters; allowed are 1 to "
            # Nat.toText(MAX_NAME_CHARS) # "."
          );
        };
        if (not Iter.all(name.chars(), isAllowedInName)) {
          return ?Errors.invalid("config.name may contain letters, digits, spaces, '-' and '_' only.");
        };
        if (Iter.all<Char>(name.chars(), func(c) = c == ' ')) return ?Errors.invalid("config.name consists of spaces only.");
      };
      case null {};
    };
    switch (config.subnet_id) {
      case (?subnet) {
        if (Principal.isAnonymous(subnet) or subnet == Principal.fromText("aaaaa-aa")) {
          return ?Errors.invalid("config.subnet_id " # Principal.toText(subnet) # " is not a subnet.");
        };
      };
      case null {};
    };
    null;
  };

  func isAllowedInName(c : Char) : Bool {
    Char.isAlphabetic(c) or Char.isDigit(c) or c == ' ' or c == '-' or c == '_';
  };
};
