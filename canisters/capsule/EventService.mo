/// The methods of the capsule API about events and executors, for one caller each. Owns what each needs and in which order;
/// who may call is asked of `Guard`, and the work is left to `Events` and `Executors`.
import Principal "mo:core/Principal";
import Access "Access";
import Clock "Clock";
import Events "Events";
import Executors "Executors";
import Guard "Guard";
import Store "Store";
import Types "Types";

module {
  type Result<T> = Types.Result<T>;
  type Capsule = Store.Capsule;

  public class EventService(guard : Guard.Guard) {
    public func record(
      caller : Principal,
      id : Text,
      event : Types.AccessEvent,
    ) : Result<Types.EventOpening> = switch (guard.recordable(caller, id)) {
      case (#Err problem) #Err problem;
      case (#Ok capsule) {
        let result = Events.record(capsule, caller, event, not Access.mayWrite(capsule, caller), Clock.now());
        guard.changed(capsule);
        result;
      };
    };

    /// A veto as long as the event waits: nobody but the move itself holds it up.
    public func revoke(caller : Principal, id : Text, event : Types.AccessEvent) : Types.UnitResult {
      guard.vetoing(caller, guard.capsule(caller, id), func(capsule, _) = Events.revoke(capsule, event));
    };

    /// Executors see what they recorded themselves.
    public func list(caller : Principal, id : Text) : Result<[Types.RecordedEvent]> {
      switch (guard.executed(caller, id)) {
        case (?capsule) #Ok(Events.recordedBy(capsule, caller));
        case null guard.readable(caller, id, Events.all);
      };
    };

    /// Who opens a capsule's memories one day is its owners' decision alone: whom a controller named would still be there
    /// when the controller isn't any more.
    func ifOwner(
      caller : Principal,
      change : (Capsule, Nat64) -> Types.UnitResult,
    ) : (Capsule, Nat64) -> Types.UnitResult {
      func(capsule, now) {
        if (Access.isOwner(capsule, caller)) change(capsule, now) else #Err(
          #Unauthorized "only the owners of the capsule decide who records events, and how long these wait"
        );
      };
    };

    public func addExecutor(caller : Principal, id : Text, person : Principal) : Types.UnitResult {
      let change = func(capsule : Capsule, now : Nat64) : Types.UnitResult = Executors.add(capsule, caller, person, now);
      guard.changing(caller, guard.capsule(caller, id), ifOwner(caller, change));
    };

    public func removeExecutor(caller : Principal, id : Text, person : Principal) : Types.UnitResult {
      let change = func(capsule : Capsule, now : Nat64) : Types.UnitResult = Executors.remove(capsule, person, now);
      guard.vetoing(caller, guard.capsule(caller, id), ifOwner(caller, change));
    };

    public func setWait(caller : Principal, id : Text, kind : Types.EventKind, wait : ?Nat64) : Types.UnitResult {
      let change = func(capsule : Capsule, now : Nat64) : Types.UnitResult = Events.setWait(capsule, kind, wait, now);
      guard.vetoing(caller, guard.capsule(caller, id), ifOwner(caller, change));
    };

    public func rules(caller : Principal, id : Text) : Result<Types.EventRules> {
      guard.readable(caller, id, Executors.rules);
    };
  };
};
