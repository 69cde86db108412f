/// What new personal canisters are set to. Owns these settings and which of them can be had; who may set them is asked by
/// the endpoints, what they cost is in `Funding`, and the backend itself gets its settings from whoever deploys it.
import Nat "mo:core/Nat";
import Runtime "mo:core/Runtime";
import Errors "Errors";
import Funding "Funding";
import Types "Types";

module {
  public type State = { var settings : Types.PersonalCanisterSettings };

  /// 90 days: as long as an owner may not notice that cycles run out. 3 GiB of the 4 that a 32-bit canister could have: the
  /// heap, which takes nothing more from 1 GiB on, and as much again and a half while it is collected.
  public let defaultSettings : Types.PersonalCanisterSettings = {
    freezing_threshold = 7_776_000;
    wasm_memory_limit = 3_221_225_472;
  };

  let smallestMemoryLimit = 104_857_600;
  let largestMemoryLimit = 4_294_967_296;

  /// With the default settings where none are given. Traps when canisters can't have those that are asked for, so that
  /// nobody installs a backend with other settings than asked for.
  public func start(asked : ?Types.PersonalCanisterSettings, reserve : Types.ReserveSettings) : State {
    let settings = switch asked { case (?some) some; case null defaultSettings };
    switch (check(settings, reserve)) {
      case (?problem) Runtime.trap("personal_canister_settings: " # problem.message);
      case null ({ var settings });
    };
  };

  /// Null when new canisters can have these settings, and be funded by the reserve's.
  public func check(settings : Types.PersonalCanisterSettings, reserve : Types.ReserveSettings) : ?Types.CreationError {
    let { wasm_memory_limit } = settings;
    if (wasm_memory_limit < smallestMemoryLimit or wasm_memory_limit > largestMemoryLimit) {
      return ?Errors.invalid(
        "wasm_memory_limit is " # Nat.toText(wasm_memory_limit) # " bytes; it must be between "
        # Nat.toText(smallestMemoryLimit) # " and " # Nat.toText(largestMemoryLimit) # "."
      );
    };
    Funding.checkDays(reserve, settings);
  };
};
