/// What the backend sees of canisters that are their owners': it asks the network what each has, and keeps the answer with
/// the canister's entry. Owns what follows from an answer, and how often the staff may have it ask. Does not own: when it asks
/// by itself (`ExpiryWatch`).
import Principal "mo:core/Principal";
import CanisterOperations "CanisterOperations";
import Creation "Creation";
import Expiry "Expiry";
import Funding "Funding";
import Registry "Registry";

module {
  /// Canisters that the staff may name in a message.
  public let mostNamed = 20;
  /// Canisters that are looked at within an hour because the staff want so: each takes a call, which the backend pays.
  let mostAnHour = 1_000;
  let hourNs : Nat64 = 3_600_000_000_000;
  /// What was seen so shortly before isn't looked at again.
  let freshNs : Nat64 = 600_000_000_000;

  /// Until when the canister takes updates, if it is its owner's and isn't deleted.
  public func dateOf(context : Creation.Context, canisterId : Principal) : ?Nat64 {
    let ?entry = Registry.get(context.registry, canisterId) else return null;
    if (entry.status == #Completed) entry.paid_until else null;
  };

  /// Asks the network what it tells of the canister. The date moves to what follows; but once it was warned of, only what was
  /// paid since moves it, since what use and rounding take would have everybody warned anew.
  public func look(context : Creation.Context, canisterId : Principal) : async* () {
    let known = dateOf(context, canisterId);
    let isWarnedOf = Expiry.mark(known, context.now()) != null
    and Expiry.unwarned(context.alerts.warned, canisterId, known, context.now()) == null;
    switch (await* CanisterOperations.status(context.calls, canisterId)) {
      case (#Shown { has; burnedPerDay; freezingThreshold; isEmpty }) {
        if isEmpty return Creation.deleted(context, canisterId);
        let at = context.now();
        Registry.setSeen(context.registry, canisterId, ?{ at; cycles = has; burned_per_day = burnedPerDay });
        let until = Funding.paidUntil(has, burnedPerDay, freezingThreshold, at);
        let moves = switch until { case (?date) not isWarnedOf or date >= Expiry.laterThan(known); case null true };
        if moves Creation.setPaidUntil(context, canisterId, until);
      };
      case (#Hidden) {
        let isDoubtful = switch known { case (?until) until < context.now(); case null true };
        if isDoubtful await* lookForModule(context, canisterId) else Registry.setSeen(context.registry, canisterId, null);
      };
      case (#Gone) Creation.deleted(context, canisterId);
      case (#Unknown) {};
    };
  };

  /// Whether there is anything in it yet, which every canister is told: when the cycles are used up the network takes it all.
  func lookForModule(context : Creation.Context, canisterId : Principal) : async* () {
    switch (await* CanisterOperations.info(context.calls, canisterId)) {
      case (#Info { module_hash = ?_ }) Registry.setSeen(context.registry, canisterId, null);
      case (#Info _ or #Gone) Creation.deleted(context, canisterId);
      case (#Rejected _) {};
    };
  };

  /// The same in a message of its own, so that nobody waits for it who doesn't want to.
  public func lookApart(context : Creation.Context, canisterId : Principal) : async () {
    await* look(context, canisterId);
  };

  /// Whether the canister is looked at now because the staff want so; then it counts.
  public func mayLook(context : Creation.Context, canisterId : Principal) : Bool {
    let ?entry = Registry.get(context.registry, canisterId) else return false;
    if (entry.status != #Completed) return false;
    let now = context.now();
    switch (entry.seen) { case (?{ at }) if (now < at + freshNs) return false; case null {} };
    let { asked } = context;
    if (now >= asked.since + hourNs) {
      asked.since := now;
      asked.count := 0;
    };
    if (asked.count >= mostAnHour) return false;
    asked.count += 1;
    true;
  };
};
