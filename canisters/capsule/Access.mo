/// Who may do what: owners and controllers read and write, others read what an access rule grants them.
/// Owns the rules; callers turn a refusal into an error.
import Array "mo:core/Array";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Events "Events";
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

  /// Decides for one caller which memories they may read, and how much of a record. What memories have in common is
  /// looked up once: whether the caller is in a group, so that a page of memories that name large groups stays cheap.
  /// `isComplete`: nothing of the capsule is still to come, such as a connection that shuts somebody out; before that
  /// nobody is let in.
  public class Reader(capsule : Store.Capsule, caller : Principal, now : Nat64, isComplete : Bool) {
    /// Whether the caller may write, and so read everything.
    public let writes : Bool = mayWrite(capsule, caller);
    /// Whether rules are asked about the caller at all.
    public let isGuest : Bool = not writes and isComplete;
    let mayBeNamed = not caller.isAnonymous() and not isShutOut(capsule, caller);
    let known = Map.empty<Text, Bool>();
    var compared = 0;

    func isCaller(person : Types.PersonRef) : Bool = Persons.isPrincipal(person, caller);

    func isIn(group : Text) : Bool = switch (known.get(group)) {
      case (?answer) answer;
      case null {
        let answer = switch (capsule.groups.get(group)) {
          case (?{ record }) { compared += record.members.size(); record.members.any(isCaller) };
          case null false;
        };
        known.add(group, answer);
        answer;
      };
    };

    func grants(access : Types.MemoryAccess) : Bool = switch access {
      case (#Public) true;
      case (#Private) false;
      case (#Custom { individuals; groups }) {
        compared += individuals.size() + groups.size();
        mayBeNamed and (individuals.any(isCaller) or groups.any(isIn));
      };
      case (#Scheduled { accessible_after; access }) now >= accessible_after and grants(access);
      case (#EventTriggered { trigger_event; access }) Events.isOpen(capsule, trigger_event, now) and grants(access);
    };

    /// Whether the caller may read the memory.
    public func mayRead(memory : Store.Ruled) : Bool {
      if writes return true;
      compared += 1;
      switch (memory.rule) { case (?access) isGuest and grants(access); case null false };
    };

    /// What the decisions so far took: memories, and people and groups that their rules name.
    public func work() : Nat = compared;

    /// The record as the caller may see it. Who else reads the memory is its writers' business.
    public func shown(memory : Types.MemoryRecord) : Types.MemoryRecord {
      if writes memory else ({ memory with access = reduced(memory.access) });
    };

    func reduced(access : Types.MemoryAccess) : Types.MemoryAccess = switch access {
      case (#Public or #Private) access;
      case (#Custom _) #Custom { individuals = [#Principal caller]; groups = [] };
      case (#Scheduled rule) #Scheduled { rule with access = reduced(rule.access) };
      case (#EventTriggered rule) #EventTriggered { rule with access = reduced(rule.access) };
    };
  };

  /// Whether the rule can ever let somebody in who doesn't write the capsule.
  public func mayOpen(access : Types.MemoryAccess) : Bool = switch access {
    case (#Public or #Custom _) true;
    case (#Private) false;
    case (#Scheduled { access } or #EventTriggered { access }) mayOpen(access);
  };

  /// Whom an owner has named to record events. Whoever is blocked or revoked since can't, as long as that is so.
  public func isExecutor(capsule : Store.Capsule, caller : Principal) : Bool {
    capsule.executors.containsKey(caller) and not isShutOut(capsule, caller);
  };

  /// Whether the capsule's owner has to do with this person: owners, controllers, and connections that aren't shut out.
  public func knows(capsule : Store.Capsule, caller : Principal) : Bool {
    mayWrite(capsule, caller) or
    (
      not caller.isAnonymous() and
      capsule.connections.containsKey(Persons.key(#Principal caller)) and not isShutOut(capsule, caller)
    );
  };

  /// Whoever the owner has blocked or revoked is let in neither by name nor by group.
  public func isShutOut(
    capsule : Store.Capsule,
    caller : Principal,
  ) : Bool = switch (capsule.connections.get(Persons.key(#Principal caller))) {
    case (?{ record = { status = #Blocked or #Revoked } }) true;
    case _ false;
  };
};
