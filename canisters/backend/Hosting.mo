/// What the canisters of a factory are set to, and what it costs to be set so: under the balance that idles through the
/// freezing threshold a canister is frozen. Owns the settings of new personal canisters and this arithmetic; who may set
/// them is asked by the endpoints, and the backend itself gets its settings from whoever deploys it. All amounts are
/// cycles, by the dearest prices known.
import Nat "mo:core/Nat";
import Runtime "mo:core/Runtime";
import Errors "Errors";
import Types "Types";

module {
  public type State = { var settings : Types.PersonalCanisterSettings };

  /// 90 days: as long as an owner may not notice that cycles run out. 3 GiB of the 4 that a 32-bit canister could have: the
  /// heap, which takes nothing more from 1 GiB on, and as much again and a half while it is collected.
  public let defaultSettings : Types.PersonalCanisterSettings = {
    freezing_threshold = 7_776_000;
    wasm_memory_limit = 3_221_225_472;
  };

  /// What the management canister charges for a new canister.
  public let creationFee = 500_000_000_000;
  /// What an installation must be able to take: 300 G instructions of a 32-bit module.
  let installation = 300_000_000_000;
  /// For being there at all, and for each GiB, in a second.
  let idleCyclesPerSecond = 10_000;
  let gibCyclesPerSecond = 317_500;
  let gib = 1_073_741_824;
  /// Of a canister without contents: its memory and its module.
  public let emptyCanisterBytes = 24_000_000;

  let smallestMemoryLimit = 104_857_600;
  let largestMemoryLimit = 4_294_967_296;
  /// The largest number of seconds that the management canister takes.
  let longestThreshold = 18_446_744_073_709_551_615;

  /// With the default settings where none are given. Traps when those that are asked for can't be paid from `base`, so
  /// that nobody installs a backend with other settings than asked for.
  public func start(asked : ?Types.PersonalCanisterSettings, base : Nat) : State {
    let ?settings = asked else return { var settings = defaultSettings };
    switch (check(settings, base)) {
      case (?problem) Runtime.trap("personal_canister_settings: " # problem.message);
      case null ({ var settings });
    };
  };

  /// The balance under which a canister of `bytes` in all is frozen.
  public func frozenCycles(settings : Types.PersonalCanisterSettings, bytes : Nat) : Nat {
    settings.freezing_threshold * (idleCyclesPerSecond * gib + gibCyclesPerSecond * bytes) / gib;
  };

  /// What an empty personal canister needs: to be created, to be installed into, and not to be frozen then.
  public func leastBase(settings : Types.PersonalCanisterSettings) : Nat {
    creationFee + installation + frozenCycles(settings, emptyCanisterBytes);
  };

  /// Null when new canisters can have these settings, paid from `base` cycles.
  public func check(settings : Types.PersonalCanisterSettings, base : Nat) : ?Types.CreationError {
    let { freezing_threshold; wasm_memory_limit } = settings;
    if (wasm_memory_limit < smallestMemoryLimit or wasm_memory_limit > largestMemoryLimit) {
      return ?Errors.invalid(
        "wasm_memory_limit is " # Nat.toText(wasm_memory_limit) # " bytes; it must be between "
        # Nat.toText(smallestMemoryLimit) # " and " # Nat.toText(largestMemoryLimit) # "."
      );
    };
    if (freezing_threshold > longestThreshold) return ?Errors.invalid("freezing_threshold is more than 2^64 - 1 seconds.");
    checkBase(settings, base);
  };

  /// Null when `base` cycles pay for an empty personal canister with these settings.
  public func checkBase(settings : Types.PersonalCanisterSettings, base : Nat) : ?Types.CreationError {
    let least = leastBase settings;
    if (base >= least) return null;
    ?Errors.invalid(
      "creation_base_cycles is " # Nat.toText(base) # "; an empty canister with a freezing threshold of "
      # Nat.toText(settings.freezing_threshold) # " seconds needs " # Nat.toText(least)
      # " to be created, installed and not frozen."
    );
  };
};
