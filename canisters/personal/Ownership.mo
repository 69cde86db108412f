/// Whose canister this is: the capsule API belongs to the owner and to the people who may write the capsule. It changes
/// nothing, and shows nothing to others, until the canister is open: its import is final and its owner controls it
/// without those who imported. So nothing that was accepted here can be in the way of the import, or be lost to a new
/// installation by an operator. Owns who the owner is, and giving that to another principal: it is offered, and accepted by
/// the other, so that it never goes to one who can't sign. The one before stays an owner of the capsule until removed. Owns
/// also which backend it belongs with: the owner says so, whose backend may have been restored under another id.
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Text "mo:core/Text";
import Access "../capsule/Access";
import Capsule "../capsule/Types";
import Capsules "../capsule/Capsules";
import Clock "../capsule/Clock";
import CapsuleService "../capsule/CapsuleService";
import Guard "../capsule/Guard";
import Randomness "../capsule/Randomness";
import Heap "../capsule/Heap";
import Maintenance "../capsule/Maintenance";
import Persons "../capsule/Persons";
import Quotas "../capsule/Quotas";
import Store "../capsule/Store";
import Validate "../capsule/Validate";
import ImportState "ImportState";
import Types "Types";

module {
  type Refusal = ?Capsule.CapsuleError;

  /// What an installation was given. Traps when it was given nothing: nobody would own the canister.
  public func given(init : ?Types.PersonalInit) : Types.PersonalInit = switch init {
    case (?some) some;
    case null Runtime.trap("an installation needs the owner and the backend as its argument; only an upgrade needs none");
  };

  public type Title = {
    var owner : Principal;
    /// To whom the owner offers the canister.
    var heir : ?Principal;
    /// May read the manifest.
    var backend : Principal;
  };

  public func title({ owner; backend } : { owner : Principal; backend : Principal }) : Title {
    { var owner; var heir = null; var backend };
  };

  /// Whether the canister is its owner's. Needs nobody else, least of all the backend; once it is so, it stays so,
  /// whomever the owner makes a controller later.
  public func isOpen(title : Title, state : ImportState.State) : Bool {
    if (state.openedAt != null) return true;
    if (state.final == null or not title.owner.isController() or ImportState.isOperated(state)) return false;
    state.openedAt := ?Clock.now();
    true;
  };

  /// Why the maintenance lets nothing be written, or null. One that an operator began ends when the canister is its
  /// owner's, though the operator has left the variable there: the owner can't be kept out by it.
  public func maintained(title : Title, state : ImportState.State, maintenance : Maintenance.State) : Refusal {
    if (isOpen(title, state) and not maintenance.wasOpen) maintenance.isOn := false;
    Maintenance.refusal(maintenance);
  };

  /// Refuses users who aren't the owner's people, further capsules, and writes before the canister is open, or in
  /// maintenance.
  public func host(
    title : Title,
    store : Store.Store,
    state : ImportState.State,
    maintenance : Maintenance.State,
  ) : Guard.Host {
    func unfinished() : Refusal {
      if (isOpen(title, state)) return maintained(title, state, maintenance);
      let reason = if (state.final == null) "import in progress" else "not handed over to its owner yet";
      ?#Locked { reason; until = null };
    };

    func refuseAccount(caller : Principal) : Refusal {
      let isTheirs = caller == title.owner or Access.mayWrite(state.capsule, caller);
      if isTheirs null else ?#Unauthorized "this canister belongs to someone else";
    };

    func refuseUser(caller : Principal) : Refusal {
      switch (refuseAccount(caller)) { case null unfinished(); case refusal refusal };
    };

    {
      randomness = Randomness.draw;
      refuseUser;
      refuseAccount;
      refuseNewCapsule = func(caller) = switch (refuseUser(caller)) {
        case null ?#AlreadyExists { kind = "capsule"; id = state.capsule.id };
        case refusal refusal;
      };
      isComplete = func() = isOpen(title, state);
      ruleTime = func _ = Clock.now();
      refuseWrite = func(_, _) = switch (unfinished()) { case null closed(state); case refusal refusal };
      refuseVeto = func(_, _) = unfinished();
      erased = func _ = null;
      refuseGrowth = func() = Quotas.checkHeap(store.books, Heap.bytes());
      changed = func _ = ImportState.certify(state);
      staged = func() = state.pending.values().flatMap(func pending = pending.chunks.values());
      capsules = func() = Iter.singleton(state.capsule);
    };
  };

  func closed(state : ImportState.State) : Refusal = switch (ImportState.closed(state, Clock.now())) {
    case null null;
    case until ?#Locked { reason = "its owner takes the capsule back to the backend"; until };
  };

  /// There is one capsule here: its owner gets that one, whoever a new one is asked for, and is told all that is used. It
  /// is charged to whom it was imported for.
  public func withOneCapsule(
    service : CapsuleService.CapsuleService,
    title : Title,
    store : Store.Store,
    state : ImportState.State,
  ) : CapsuleService.CapsuleService = {
    service with
    createCapsule = func(caller : Principal, subject : Capsule.PersonRef) : Capsule.Result<Capsule.CapsuleHeader> {
      if (caller == title.owner and ImportState.hasCapsule(state)) return #Ok(Capsules.header(state.capsule));
      service.createCapsule(caller, subject);
    };
    getMyQuota = func(caller : Principal) : Capsule.Result<Capsule.QuotaStatus> {
      if (caller == title.owner) return #Ok(Quotas.status(store.books, state.capsule.account.payer));
      service.getMyQuota(caller);
    };
  };

  // ---- Another owner ----

  public class Giving(title : Title, store : Store.Store, state : ImportState.State, maintenance : Maintenance.State) {
    /// Only the owner may, and only what is theirs already.
    func refuse(caller : Principal) : Refusal {
      if (caller != title.owner) return ?#Unauthorized "only the owner says whose this canister is";
      unready();
    };

    func refused(caller : Principal, field : Text, other : Principal) : Refusal {
      switch (refuse(caller)) {
        case null Validate.person(field, #Principal other);
        case refusal refusal;
      };
    };

    func unready() : Refusal {
      if (not isOpen(title, state)) return ?#Locked { reason = "not handed over to its owner yet"; until = null };
      switch (maintained(title, state, maintenance)) { case null closed(state); case refusal refusal };
    };

    /// Offers the canister to another principal, or to nobody. The last offer counts.
    public func offer(caller : Principal, heir : ?Principal) : Capsule.UnitResult {
      let refusal = switch heir { case (?to) refused(caller, "to", to); case null refuse(caller) };
      switch refusal { case null {}; case (?problem) return #Err problem };
      title.heir := if (heir == ?title.owner) null else heir;
      #Ok;
    };

    /// Makes the caller the owner, to whom it was offered, and the one whom the capsule is about in the place of the one
    /// before, who stays an owner of the capsule. Again it does nothing.
    public func accept(caller : Principal) : Capsule.UnitResult {
      if (caller == title.owner) return #Ok;
      if (title.heir != ?caller) return #Err(#Unauthorized "this canister isn't offered to you");
      switch (unready()) { case null {}; case (?problem) return #Err problem };
      let now = Clock.now();
      let capsule = state.capsule;
      Store.unindex(store, capsule);
      capsule.owners.add(Persons.key(#Principal caller), (#Principal caller, { since = now; last_activity_at = now }));
      if (Persons.isPrincipal(capsule.subject, title.owner)) capsule.subject := #Principal caller;
      Store.insert(store, capsule);
      title.owner := caller;
      title.heir := null;
      noted(caller, now);
      #Ok;
    };

    /// Takes the capsule from an owner or a controller of it, such as the owner before. Who isn't one is none afterwards.
    public func remove(caller : Principal, person : Principal) : Capsule.UnitResult {
      switch (refuse(caller)) { case null {}; case (?problem) return #Err problem };
      if (person == caller) return #Err(
        #InvalidArgument { field = "person"; reason = "the owner stays; offer the canister to another one first" }
      );
      let capsule = state.capsule;
      if (not Access.mayWrite(capsule, person)) return #Ok;
      Store.unindex(store, capsule);
      capsule.owners.remove(Persons.key(#Principal person));
      capsule.controllers.remove(Persons.key(#Principal person));
      Store.insert(store, capsule);
      noted(caller, Clock.now());
      #Ok;
    };

    /// From now on this backend may ask what the import left here. It isn't asked itself: the owner knows which it is.
    public func changeBackend(caller : Principal, backend : Principal) : Capsule.UnitResult {
      switch (refused(caller, "backend", backend)) { case null {}; case (?problem) return #Err problem };
      title.backend := backend;
      #Ok;
    };

    func noted(caller : Principal, now : Nat64) {
      Capsules.touch(state.capsule, caller, now);
      ImportState.certify(state);
    };
  };
};
