/// Maintenance: from the start of a new module until somebody has judged it, nothing is written, so that going back to what
/// was before loses nothing. The canister's controllers begin and end it by an environment variable, which no module can
/// lose, new ones least of all: it is read when a module starts, and then each second until it is gone. Owns the variable,
/// and the refusal.
import Runtime "mo:core/Runtime";
import Timer "mo:core/Timer";
import CapsuleService "CapsuleService";
import Types "Types";

module {
  /// What it says is for those who upgrade.
  public let variable = "canister_factory_upgrade";

  public type State = { var isOn : Bool; var timer : ?Timer.TimerId };

  func isSet<system>() : Bool = Runtime.envVar<system>(variable) != null;

  /// For the start of a module.
  public func start<system>() : State = { var isOn = isSet<system>(); var timer = null };

  /// Does what waits for the end of the maintenance: now, or when the controllers have ended it.
  public func afterwards<system>(state : State, resume : <system>() -> ()) {
    if (not state.isOn) return resume<system>();
    let look = func() : async () {
      if (isSet<system>() or not state.isOn) return;
      state.isOn := false;
      switch (state.timer) { case (?timer) Timer.cancelTimer(timer); case null {} };
      resume<system>();
    };
    state.timer := ?Timer.recurringTimer<system>(#seconds 1, look);
  };

  public let reason = "the canister is being upgraded; nothing is written until its new module was found sound";

  /// Why nothing is written now, or null.
  public func refusal(state : State) : ?Types.CapsuleError {
    if (state.isOn) ?#Locked { reason; until = null } else null;
  };

  /// The service, where also those changes wait about which the host isn't asked.
  public func guarded(service : CapsuleService.CapsuleService, state : State) : CapsuleService.CapsuleService = {
    service with
    abortMemoryUpload = func(caller : Principal, id : Nat64) : Types.UnitResult = switch (refusal(state)) {
      case (?problem) #Err problem;
      case null service.abortMemoryUpload(caller, id);
    };
  };
};
