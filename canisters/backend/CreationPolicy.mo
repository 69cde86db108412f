/// What a request for a personal canister may ask for, and how many there may be. Has no state.
import Char "mo:core/Char";
import Iter "mo:core/Iter";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import BoundedLog "BoundedLog";
import Errors "Errors";
import Types "Types";

module {
  /// How many creations there may be over all owners, until an admin says otherwise.
  public let defaultLimits : Types.CreationLimits = { max_in_progress = 100; max_per_hour = 1_000 };
  public let hourNs : Nat64 = 3_600_000_000_000;
  /// How many canisters one owner's creation may lose before an admin has to look at it: each takes its cycles along, and
  /// the owner controls it as well.
  public let mostLosses = 3;
  /// How many canisters one owner may get and keep by undoing their creations before an admin has to look at it.
  public let mostUndone = 3;
  /// One owner's part of `max_per_hour`: a tenth, and at least one attempt.
  public func ownersShare(limits : Types.CreationLimits) : Nat = Nat.max(1, Nat32.toNat(limits.max_per_hour) / 10);
  /// Failures in a row after which the next attempt may be made at once.
  let freeFailures : Nat32 = 5;
  let firstPauseNs : Nat64 = 60_000_000_000;
  let longestPauseNs : Nat64 = 86_400_000_000_000;

  /// How long after so many failures in a row their owner's next attempt has to wait: a minute after the sixth, twice as
  /// long after each further one, a day at most. A failure a day after the one before isn't in a row with it.
  public func pauseNs(failures : Nat32) : Nat64 {
    if (failures <= freeFailures) return 0;
    let doublings = Nat32.min(failures - freeFailures - 1, 11);
    Nat64.min(longestPauseNs, firstPauseNs * 2 ** Nat64.fromNat32(doublings));
  };

  /// Failures in a row, the one of now included.
  public func inARow(before : Nat32, last : Nat64, now : Nat64) : Nat32 {
    if (before == 0 or last + longestPauseNs < now) 1 else before + 1;
  };

  /// Changes of a canister from which on it isn't started over: the network tells the last 20, and a handoff, and what
  /// else honest people may do, must still be among them.
  public let mostChanges : Nat64 = 15;
  let nameChars = 100;

  /// Null when the config is fine. `subnet_id` is recorded with the creation for whoever runs the backend:
  /// `create_canister` of the management canister has no such argument and places the canister on the backend's own
  /// subnet.
  public func check(config : Types.CreatePersonalCanisterConfig) : ?Types.CreationError {
    switch (config.name) {
      case (?name) {
        if (name == "" or name.size() > nameChars) {
          return ?Errors.invalid(
            "config.name has " # Nat.toText(name.size()) # " characters; allowed are 1 to "
            # Nat.toText(nameChars) # "."
          );
        };
        if (not Iter.all(name.chars(), isAllowedInName)) {
          return ?Errors.invalid("config.name may contain letters, digits, spaces, '-' and '_' only.");
        };
        if (Iter.all<Char>(name.chars(), func(c) = c == ' ')) {
          return ?Errors.invalid("config.name consists of spaces only.");
        };
      };
      case null {};
    };
    switch (config.subnet_id) {
      case (?subnet) {
        if (subnet.isAnonymous() or subnet == Principal.fromText("aaaaa-aa")) {
          return ?Errors.invalid("config.subnet_id " # subnet.toText() # " is not a subnet.");
        };
      };
      case null {};
    };
    null;
  };

  /// The limits of a new backend. Traps when they are refused, so that nobody installs a backend with other limits than
  /// asked for.
  public func startLimits(asked : ?Types.CreationLimits) : Types.CreationLimits {
    let ?limits = asked else return defaultLimits;
    switch (checkLimits(limits)) { case (?error) Runtime.trap("limits: " # error.message); case null limits };
  };

  /// Null when a backend can keep to these limits. Zero would be a second switch, beside the one that is there for it;
  /// and attempts are counted by a log, which can't tell of more than it keeps.
  public func checkLimits(limits : Types.CreationLimits) : ?Types.CreationError {
    let { max_in_progress; max_per_hour } = limits;
    for ((name, limit) in [("max_in_progress", max_in_progress), ("max_per_hour", max_per_hour)].values()) {
      if (limit == 0) {
        return ?Errors.invalid(
          name # " is 0; it must be at least 1. To refuse every request, call "
          # "set_personal_canister_creation_enabled(false)."
        );
      };
    };
    if (Nat32.toNat(max_per_hour) > BoundedLog.capacity) {
      return ?Errors.invalid(
        "max_per_hour is " # Nat32.toText(max_per_hour) # "; it may be at most " # Nat.toText(BoundedLog.capacity)
        # ", as many attempts as the backend remembers."
      );
    };
    null;
  };

  func isAllowedInName(c : Char) : Bool {
    Char.isAlphabetic(c) or Char.isDigit(c) or c == ' ' or c == '-' or c == '_';
  };
};
