/// Executors: people whom a capsule's owner trusts to record events when the owner can't any more. One of them is enough.
/// They read nothing by it, and what they record waits (`Events`). Owns who they are; not who may name them (the service
/// asks).
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Access "Access";
import Events "Events";
import Limits "Limits";
import Quotas "Quotas";
import Store "Store";
import Types "Types";
import Validate "Validate";

module {
  /// Refuses people who couldn't act as executors, or needn't. Naming one again changes nothing.
  public func add(capsule : Store.Capsule, caller : Principal, person : Principal, now : Nat64) : Types.UnitResult {
    if (capsule.executors.containsKey(person)) return #Ok;
    switch (check(capsule, person)) { case null {}; case (?problem) return #Err problem };
    Quotas.charge(capsule.account, Quotas.executor);
    capsule.executors.add(person, { person; named_at = now; named_by = caller });
    #Ok;
  };

  func check(capsule : Store.Capsule, person : Principal) : Validate.Problem = Validate.first([
    Validate.person("executor", #Principal person),
    if (Access.mayWrite(capsule, person)) Validate.invalid(
      "executor",
      "owners and controllers need not be named: an event that they record opens at once",
    ) else null,
    if (Access.isShutOut(capsule, person)) Validate.invalid(
      "executor",
      "is blocked or revoked among the capsule's connections",
    ) else null,
    Validate.most("executors of a capsule", Limits.executorsPerCapsule, capsule.executors.size() + 1),
    Quotas.check(capsule.account, Quotas.executor),
  ]);

  /// What they recorded falls with them as far as it still waits; what is open stays open. Refuses whoever is none.
  public func remove(capsule : Store.Capsule, person : Principal, now : Nat64) : Types.UnitResult {
    if (not capsule.executors.containsKey(person)) {
      return #Err(#NotFound { kind = "executor"; id = person.toText() });
    };
    capsule.executors.remove(person);
    Quotas.charge(capsule.account, Quotas.negated(Quotas.executor));
    Events.dropWaiting(capsule, person, now);
    #Ok;
  };

  /// A person whom the owner shuts out opens nothing any more, either: what they recorded falls as far as it still waits.
  public func noteConnection(capsule : Store.Capsule, peer : Types.PersonRef, now : Nat64) {
    switch peer {
      case (#Principal person) if (Access.isShutOut(capsule, person)) Events.dropWaiting(capsule, person, now);
      case (#Opaque _) {};
    };
  };

  /// Who they are, in the order of their principals, and how long what they record waits.
  public func rules(capsule : Store.Capsule) : Types.EventRules {
    { executors = capsule.executors.values().toArray(); waits = Events.waits(capsule) };
  };
};
