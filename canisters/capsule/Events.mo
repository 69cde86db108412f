/// Events that access rules wait for, such as a death. What an owner or a controller records opens at once; what an
/// executor records opens after a waiting period, by the canister's clock alone, and until then owners can veto it.
/// Owns what is on record, and how long it waits; not who may record or revoke (`Guard`), and not who is an executor
/// (`Executors`).
import Array "mo:core/Array";
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Text "mo:core/Text";
import Capsules "Capsules";
import Limits "Limits";
import Quotas "Quotas";
import Store "Store";
import Types "Types";
import Validate "Validate";

module {
  let kinds : [Types.EventKind] = [
    #AfterDeath,
    #Graduation,
    #Wedding,
    #Anniversary,
    #Birthday,
    #CapsuleMaturity,
    #ConnectionCount,
    #Custom,
  ];

  /// The name under which a choice for the kind is kept.
  public func kindName(kind : Types.EventKind) : Text = switch kind {
    case (#AfterDeath) "AfterDeath";
    case (#Graduation) "Graduation";
    case (#Wedding) "Wedding";
    case (#Anniversary) "Anniversary";
    case (#Birthday) "Birthday";
    case (#CapsuleMaturity) "CapsuleMaturity";
    case (#ConnectionCount) "ConnectionCount";
    case (#Custom) "Custom";
  };

  func kindOf(event : Types.AccessEvent) : Types.EventKind = switch event {
    case (#AfterDeath) #AfterDeath;
    case (#Graduation) #Graduation;
    case (#Wedding) #Wedding;
    case (#Anniversary _) #Anniversary;
    case (#Birthday _) #Birthday;
    case (#CapsuleMaturity _) #CapsuleMaturity;
    case (#ConnectionCount _) #ConnectionCount;
    case (#Custom _) #Custom;
  };

  /// The event's id: its kind, and its number or name where it has one. Events are on record by it.
  public func key(event : Types.AccessEvent) : Text {
    let kind = kindName(kindOf(event));
    switch event {
      case (#AfterDeath or #Graduation or #Wedding) kind;
      case (#Anniversary number or #Birthday number or #CapsuleMaturity number or #ConnectionCount number) {
        kind # ":" # Nat32.toText(number);
      };
      case (#Custom name) kind # ":" # name;
    };
  };

  /// Whether what waits for this very event is open.
  public func isOpen(
    capsule : Store.Capsule,
    event : Types.AccessEvent,
    now : Nat64,
  ) : Bool = switch (capsule.events.get(key(event))) {
    case (?{ opens_at }) opens_at <= now;
    case null false;
  };

  // ---- Waiting periods ----

  /// How long an executor's event waits: what the owner chose for its kind, or 30 days for a death, and for what only its
  /// name tells; 7 days for the others.
  public func wait(capsule : Store.Capsule, kind : Types.EventKind) : Nat64 {
    switch (capsule.event_waits.get(kindName(kind)), kind) {
      case (?{ wait_ns }, _) wait_ns;
      case (null, #AfterDeath or #Custom) Limits.graveEventWait;
      case (null, _) Limits.usualEventWait;
    };
  };

  /// Of all kinds.
  public func waits(capsule : Store.Capsule) : [Types.EventWait] = kinds.map(
    func kind = { kind; wait_ns = wait(capsule, kind) }
  );

  /// Refuses periods in which nobody could veto, and such as never end.
  public func checkWait(wait_ns : Nat64) : Validate.Problem {
    if (wait_ns >= Limits.shortestEventWait and wait_ns <= Limits.longestEventWait) return null;
    Validate.invalid("wait_ns", "must be between one day and 3,650 days");
  };

  /// Null takes the choice back. Events of the kind that wait already wait at least so long, too, from when they were
  /// recorded; none opens earlier than it would have.
  public func setWait(
    capsule : Store.Capsule,
    kind : Types.EventKind,
    chosen : ?Nat64,
    now : Nat64,
  ) : Types.UnitResult {
    switch chosen {
      case null capsule.event_waits.remove(kindName(kind));
      case (?wait_ns) {
        switch (checkWait(wait_ns)) { case (?problem) return #Err problem; case null {} };
        capsule.event_waits.add(kindName(kind), { kind; wait_ns });
      };
    };
    let wait_ns = wait(capsule, kind);
    for (recorded in waiting(capsule, now).values()) {
      if (kindOf(recorded.event) == kind) {
        let opens_at = Nat64.max(recorded.opens_at, recorded.recorded_at +% wait_ns);
        capsule.events.add(key(recorded.event), { recorded with opens_at });
      };
    };
    #Ok;
  };

  func waiting(capsule : Store.Capsule, now : Nat64) : [Types.RecordedEvent] {
    capsule.events.values().filter(func recorded = recorded.opens_at > now).toArray();
  };

  // ---- The record ----

  /// Of one who may write the capsule, or of an executor (`waits`). An event that is on record already stays as it is, but
  /// that whoever may write opens at once what still waits. An executor isn't refused for a quota that is full: there is
  /// room since they were named (`Quotas.executor`).
  public func record(
    capsule : Store.Capsule,
    caller : Principal,
    event : Types.AccessEvent,
    isExecutor : Bool,
    now : Nat64,
  ) : Types.Result<Types.EventOpening> {
    switch (Validate.event("event", event)) { case null {}; case (?problem) return #Err problem };
    let opens_at = if isExecutor now + wait(capsule, kindOf(event)) else now;
    switch (capsule.events.get(key(event))) {
      case (?known) if (isExecutor or known.opens_at <= now) return #Ok { opens_at = known.opens_at };
      case null switch (addition(capsule, caller, event, isExecutor)) {
        case (#Ok charged) Quotas.charge(capsule.account, charged);
        case (#Err problem) return #Err problem;
      };
    };
    capsule.events.add(key(event), { event; recorded_at = now; recorded_by = caller; opens_at });
    Capsules.touch(capsule, caller, now);
    #Ok { opens_at };
  };

  /// What one more event is charged, if there is room for it.
  func addition(
    capsule : Store.Capsule,
    caller : Principal,
    event : Types.AccessEvent,
    isExecutor : Bool,
  ) : Types.Result<Quotas.Change> {
    let charged = Quotas.event(event);
    let present = capsule.events.size();
    let problem = if isExecutor Validate.first([
      Validate.most("events of an executor", Limits.eventsPerExecutor, recordedBy(capsule, caller).size() + 1),
      Validate.most("events of a capsule", Limits.eventsOfAll(), present + 1),
    ]) else Validate.first([
      Validate.most("events of a capsule", Limits.eventsPerCapsule, present + 1),
      Quotas.check(capsule.account, charged),
    ]);
    switch problem { case (?found) #Err found; case null #Ok charged };
  };

  /// Takes an event off the record, whether it waits (a veto) or is open: what waits for it is shut again, until it is
  /// recorded anew.
  public func revoke(capsule : Store.Capsule, event : Types.AccessEvent) : Types.UnitResult {
    let ?{ event = known } = capsule.events.take(key(event)) else return #Err(
      #NotFound { kind = "event"; id = key(event) }
    );
    Quotas.charge(capsule.account, Quotas.negated(Quotas.event(known)));
    #Ok;
  };

  /// Takes what this executor recorded off the record, as far as it still waits.
  public func dropWaiting(capsule : Store.Capsule, executor : Principal, now : Nat64) {
    for ({ event; recorded_by } in waiting(capsule, now).values()) {
      if (recorded_by == executor) ignore revoke(capsule, event);
    };
  };

  /// All of the capsule.
  public func all(capsule : Store.Capsule) : [Types.RecordedEvent] = capsule.events.values().toArray();

  /// What this principal recorded, and nobody opened or took back since.
  public func recordedBy(capsule : Store.Capsule, caller : Principal) : [Types.RecordedEvent] {
    capsule.events.values().filter(func recorded = recorded.recorded_by == caller).toArray();
  };
};
