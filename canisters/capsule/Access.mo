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
  public func isOwner(capsule : Store.Capsule, caller : Principal) : Bool {
    not caller.isAnonymous() and capsule.owners.containsKey(Persons.key(#Principal caller));
  };

  /// Owners and controllers: they read and write everything, always.
  public func mayWrite(capsule : Store.Capsule, caller : Principal) : Bool {
    if (caller.isAnonymous()) return false;
    let key = Persons.key(#Principal caller);
    capsule.owners.containsKey(key) or capsule.controllers.containsKey(key);
  };

  public func maySeeInfo(capsule : Store.Capsule, caller : Principal) : Bool {
    mayWrite(capsule, caller) or (not caller.isAnonymous() and Persons.isPrincipal(capsule.subject, caller));
  };

  public func mayReadMemory(
    capsule : Store.Capsule,
    memory : Types.MemoryRecord,
    caller : Principal,
    now : Nat64,
  ) : Bool {
    mayWrite(capsule, caller) or grants(capsule, memory.access, caller, now);
  };

  public func hasHappened(capsule : Store.Capsule, event : Types.AccessEvent) : Bool {
    capsule.events.any(func recorded = recorded.event == event);
  };

  func grants(
    capsule : Store.Capsule,
    access : Types.MemoryAccess,
    caller : Principal,
    now : Nat64,
  ) : Bool = switch access {
    case (#Public) true;
    case (#Private) false;
    case (#Custom { individuals; groups }) isNamed(capsule, individuals, groups, caller);
    case (#Scheduled { accessible_after; access }) now >= accessible_after and grants(capsule, access, caller, now);
    case (#EventTriggered { trigger_event; access }) {
      hasHappened(capsule, trigger_event) and grants(capsule, access, caller, now);
    };
  };

  /// By name or by group; whoever the owner has blocked or revoked is not let in by either.
  func isNamed(capsule : Store.Capsule, individuals : [Types.PersonRef], groups : [Text], caller : Principal) : Bool {
    if (caller.isAnonymous()) return false;
    switch (capsule.connections.get(Persons.key(#Principal caller))) {
      case (?{ record = { status = #Blocked or #Revoked } }) return false;
      case _ {};
    };
    func isCaller(person : Types.PersonRef) : Bool = Persons.isPrincipal(person, caller);
    individuals.any(isCaller) or groups.any(
      func id = switch (capsule.groups.get(id)) {
        case (?group) group.record.members.any(isCaller);
        case null false;
      }
    );
  };
};
