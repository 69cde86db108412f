/// Who may do what in the capsule API, and how a change goes on record: the anonymous caller is refused, the capsule is
/// found, access and the host's consent (locks) are asked for, and a change that succeeded is noted in the capsule.
/// Owns these questions and their order; not the rules of access (`Access`), and not what a change does.
import Principal "mo:core/Principal";
import Access "Access";
import Capsules "Capsules";
import Clock "Clock";
import Store "Store";
import Types "Types";

module {
  type Result<T> = Types.Result<T>;
  type Capsule = Store.Capsule;

  /// What the canister around the capsules has to say. Each question is answered with the error to refuse with, or
  /// null.
  public type Host = {
    /// 32 random bytes that nobody else knows.
    randomness : () -> async* Result<Blob>;
    /// May this principal (never the anonymous one) become a user here?
    refuseUser : Principal -> ?Types.CapsuleError;
    /// May this principal make a capsule here?
    refuseNewCapsule : Principal -> ?Types.CapsuleError;
    /// May this capsule be written now, by someone who has the right to?
    refuseWrite : Capsule -> ?Types.CapsuleError;
    /// Does this principal administer the canister? Admins record events that owners can't, such as a death.
    isAdmin : Principal -> Bool;
  };

  let anonymousRefused : Types.CapsuleError = #Unauthorized "the anonymous caller can't do this; sign in first";

  public class Guard(store : Store.Store, host : Host) {
    /// Why the caller can't be a user here, or null.
    public func refuseUser(caller : Principal) : ?Types.CapsuleError {
      if (caller.isAnonymous()) ?anonymousRefused else host.refuseUser(caller);
    };

    /// Why the caller can't make a capsule here, or null.
    public func refuseNewCapsule(caller : Principal) : ?Types.CapsuleError {
      if (caller.isAnonymous()) ?anonymousRefused else host.refuseNewCapsule(caller);
    };

    /// The capsule, if the caller may change it now.
    public func writable(
      caller : Principal,
      found : Result<Capsule>,
    ) : Result<Capsule> = changeable(caller, found, false);

    /// The capsule, if the caller may record an event in it now: as one of its people, or as an admin.
    public func recordable(caller : Principal, found : Result<Capsule>) : Result<Capsule> {
      changeable(caller, found, host.isAdmin(caller));
    };

    func changeable(caller : Principal, found : Result<Capsule>, asAdmin : Bool) : Result<Capsule> {
      if (caller.isAnonymous()) return #Err anonymousRefused;
      let #Ok capsule = found else return found;
      if (not (Access.mayWrite(capsule, caller) or asAdmin)) return #Err(
        #Unauthorized("capsule " # capsule.id # " is neither owned nor controlled by the caller")
      );
      switch (host.refuseWrite(capsule)) { case (?problem) #Err problem; case null #Ok capsule };
    };

    /// The caller's self-capsule. Refuses the anonymous caller, and whoever has none.
    public func ownCapsule(caller : Principal) : Result<Capsule> {
      if (caller.isAnonymous()) return #Err anonymousRefused;
      switch (Store.selfCapsule(store, caller)) {
        case (?capsule) #Ok capsule;
        case null #Err(#NotFound { kind = "self-capsule"; id = caller.toText() });
      };
    };

    /// The capsule of that id; without one the caller's self-capsule.
    public func namedOrOwn(caller : Principal, id : ?Text) : Result<Capsule> = switch id {
      case (?named) Store.findCapsule(store, named);
      case null ownCapsule(caller);
    };

    /// Does the change, if the caller may make it, and notes it in the capsule if it succeeded.
    public func changing(
      caller : Principal,
      found : Result<Capsule>,
      change : (Capsule, Nat64) -> Types.UnitResult,
    ) : Types.UnitResult {
      switch (changingTo<()>(
        caller,
        found,
        func(capsule, now) = switch (change(capsule, now)) { case (#Ok) #Ok(); case (#Err problem) #Err problem },
      )) {
        case (#Ok _) #Ok;
        case (#Err problem) #Err problem;
      };
    };

    /// The same for a change that has a result.
    public func changingTo<T>(
      caller : Principal,
      found : Result<Capsule>,
      change : (Capsule, Nat64) -> Result<T>,
    ) : Result<T> {
      switch (writable(caller, found)) {
        case (#Err problem) #Err problem;
        case (#Ok capsule) {
          let now = Clock.now();
          let result = change(capsule, now);
          switch result { case (#Ok _) Capsules.touch(capsule, caller, now); case (#Err _) {} };
          result;
        };
      };
    };
  };
};
