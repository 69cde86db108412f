/// Maintenance: from the start of a new module until somebody has judged it, nothing is written, so that going back to what
/// was before loses nothing. The canister's controllers begin and end it by an environment variable, which no module can
/// lose, new ones least of all: it is read when a module starts, and then again and again until it is gone. Owns the
/// variable, and the refusal.
import Nat64 "mo:core/Nat64";
import Runtime "mo:core/Runtime";
import Timer "mo:core/Timer";
import CapsuleService "CapsuleService";
import Clock "Clock";
import Types "Types";

module {
  /// What it says is for those who upgrade.
  public let variable = "canister_factory_upgrade";

  /// `wasOpen`: whether the canister was open when the module started. What begins before is the business of those who
  /// control it then, and ends with that.
  public type State = { wasOpen : Bool; var isOn : Bool; var timer : ?Timer.TimerId };

  func isSet<system>() : Bool = Runtime.envVar<system>(variable) != null;

  /// For the start of a module.
  public func start<system>(isOpen : Bool) : State = { wasOpen = isOpen; var isOn = isSet<system>(); var timer = null };

  /// How long it is looked each second. A look costs what a small canister burns idle in some minutes: an upgrade that
  /// nobody goes on with must not use up its cycles.
  let promptSeconds : Nat64 = 900;
  /// Between two looks at most.
  let longestPause : Nat64 = 600;

  /// Seconds until the next look, after so many: a sixtieth of them, once it has lasted longer than an upgrade does.
  func pause(lasted : Nat64) : Nat64 = if (lasted < promptSeconds) 1 else Nat64.min(longestPause, lasted / 60);

  /// Does what waits for the end of the maintenance: now, or when the controllers have ended it.
  public func afterwards<system>(state : State, resume : <system>() -> ()) {
    if (not state.isOn) return resume<system>();
    let begun = Clock.now();
    // A timer repeats itself until it is set anew, also when a look is lost.
    func arm<system>(seconds : Nat64) {
      disarm state;
      let look = func() : async () {
        if (not state.isOn) return disarm state;
        if (isSet<system>()) {
          let next = pause((Clock.now() - begun) / 1_000_000_000);
          if (next != seconds) arm<system>(next);
          return;
        };
        state.isOn := false;
        disarm state;
        resume<system>();
      };
      state.timer := ?Timer.recurringTimer<system>(#seconds(Nat64.toNat(seconds)), look);
    };
    arm<system>(pause 0);
  };

  func disarm(state : State) {
    switch (state.timer) { case (?timer) Timer.cancelTimer(timer); case null {} };
    state.timer := null;
  };

  public let reason = "the canister is being upgraded; nothing is written until its new module was found sound";

  /// Why nothing is written now, or null.
  public func refusal(state : State) : ?Types.CapsuleError {
    if (state.isOn) ?#Locked { reason; until = null } else null;
  };

  /// The service, where also those changes wait about which the host isn't asked.
  public func guarded(
    service : CapsuleService.CapsuleService,
    refusal : () -> ?Types.CapsuleError,
  ) : CapsuleService.CapsuleService = {
    service with
    abortMemoryUpload = func(caller : Principal, id : Nat64) : Types.UnitResult = switch (refusal()) {
      case (?problem) #Err problem;
      case null service.abortMemoryUpload(caller, id);
    };
  };
};
