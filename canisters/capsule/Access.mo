/// Who may do what: owners and controllers read and write, others read what an access rule grants them.
/// Owns the rules; callers turn a refusal into an error.
import Array "mo:core/Array";
import List "mo:core/List";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Persons "Persons";
import Store "Store";
import Types "Types";

module {
  /// Owners alone, without controllers.
  public func isOwner(capsule : Store.Capsule, caller : Principal) : Bool {
    not caller.isAnonymous() and capsule.owners.containsKey(Persons.key(#Principal caller));
  };

  /// Owners and controllers: they read and write everything, always.
  public func mayWrite(capsule : Store.Capsule, caller : Principal) : Bool {
    if (caller.isAnonymous()) return false;
    let key = Persons.key(#Principal caller);
    capsule.owners.containsKey(key) or capsule.controllers.containsKey(key);
  };

  /// Owners, controllers, and the person whom the capsule is about.
  public func maySeeInfo(capsule : Store.Capsule, caller : Principal) : Bool {
    mayWrite(capsule, caller) or (not caller.isAnonymous() and Persons.isPrincipal(capsule.subject, caller));
  };

  /// Decides for one caller which memories they may read. What memories have in common is looked up once: whether the
  /// caller is in a group, so that a page of memories that name large groups stays cheap.
  public func reader(capsule : Store.Capsule, caller : Principal, now : Nat64) : Types.MemoryRecord -> Bool {
    if (mayWrite(capsule, caller)) return func _ = true;
    let known = Map.empty<Text, Bool>();

    func isCaller(person : Types.PersonRef) : Bool = Persons.isPrincipal(person, caller);

    func isIn(group : Text) : Bool = switch (known.get(group)) {
      case (?answer) answer;
      case null {
        let answer = switch (capsule.groups.get(group)) {
          case (?{ record }) record.members.any(isCaller);
          case null false;
        };
        known.add(group, answer);
        answer;
      };
    };

    let mayBeNamed = not caller.isAnonymous() and not isShutOut(capsule, caller);

    func grants(access : Types.MemoryAccess) : Bool = switch access {
      case (#Public) true;
      case (#Private) false;
      case (#Custom { individuals; groups }) mayBeNamed and (individuals.any(isCaller) or groups.any(isIn));
      case (#Scheduled { accessible_after; access }) now >= accessible_after and grants(access);
      case (#EventTriggered { trigger_event; access }) hasHappened(capsule, trigger_event) and grants(access);
    };

    func memory = grants(memory.access);
  };

  /// Whether this very event is on record.
  public func hasHappened(capsule : Store.Capsule, event : Types.AccessEvent) : Bool {
    capsule.events.any(func recorded = recorded.event == event);
  };

  /// Whoever the owner has blocked or revoked is let in neither by name nor by group.
  func isShutOut(
    capsule : Store.Capsule,
    caller : Principal,
  ) : Bool = switch (capsule.connections.get(Persons.key(#Principal caller))) {
    case (?{ record = { status = #Blocked or #Revoked } }) true;
    case _ false;
  };
};
