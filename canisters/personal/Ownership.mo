/// Whose canister this is: the capsule API belongs to the owner and to the people who may write the capsule. It changes
/// nothing, and shows nothing to others, until the canister is open: its import is final and its owner controls it
/// without those who imported. So nothing that was accepted here can be in the way of the import, or be lost to a new
/// installation by an operator. Owns no state.
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Access "../capsule/Access";
import Capsule "../capsule/Types";
import Capsules "../capsule/Capsules";
import Clock "../capsule/Clock";
import CapsuleService "../capsule/CapsuleService";
import Guard "../capsule/Guard";
import Randomness "../capsule/Randomness";
import Heap "../capsule/Heap";
import Maintenance "../capsule/Maintenance";
import Quotas "../capsule/Quotas";
import Store "../capsule/Store";
import ImportState "ImportState";
import Types "Types";

module {
  type Refusal = ?Capsule.CapsuleError;

  /// What an installation was given. Traps when it was given nothing: nobody would own the canister.
  public func given(init : ?Types.PersonalInit) : Types.PersonalInit = switch init {
    case (?some) some;
    case null Runtime.trap("an installation needs the owner and the backend as its argument; only an upgrade needs none");
  };

  /// Whether the canister is its owner's. Needs nobody else, least of all the backend; once it is so, it stays so,
  /// whomever the owner makes a controller later.
  public func isOpen(owner : Principal, state : ImportState.State) : Bool {
    if (state.openedAt != null) return true;
    if (state.final == null or not owner.isController() or ImportState.isOperated(state)) return false;
    state.openedAt := ?Clock.now();
    true;
  };

  /// Refuses users who aren't the owner's people, further capsules, and writes before the canister is open, or in
  /// maintenance.
  public func host(
    owner : Principal,
    store : Store.Store,
    state : ImportState.State,
    maintenance : Maintenance.State,
  ) : Guard.Host {
    func unfinished() : Refusal {
      if (isOpen(owner, state)) return Maintenance.refusal(maintenance);
      let reason = if (state.final == null) "import in progress" else "not handed over to its owner yet";
      ?#Locked { reason; until = null };
    };

    func refuseAccount(caller : Principal) : Refusal {
      let isTheirs = caller == owner or Access.mayWrite(state.capsule, caller);
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
      isComplete = func() = isOpen(owner, state);
      ruleTime = func _ = Clock.now();
      refuseWrite = func(_, _) = switch (unfinished()) {
        case null switch (ImportState.closed(state, Clock.now())) {
          case null null;
          case until ?#Locked { reason = "its owner takes the capsule back to the backend"; until };
        };
        case refusal refusal;
      };
      refuseVeto = func(_, _) = unfinished();
      erased = func _ = null;
      refuseGrowth = func() = Quotas.checkHeap(store.books, Heap.bytes());
      changed = func _ = ImportState.certify(state);
      staged = func() = state.pending.values().flatMap(func pending = pending.chunks.values());
      capsules = func() = Iter.singleton(state.capsule);
    };
  };

  /// There is one capsule here: its owner gets that one, whoever a new one is asked for.
  public func withOneCapsule(
    service : CapsuleService.CapsuleService,
    owner : Principal,
    state : ImportState.State,
  ) : CapsuleService.CapsuleService = {
    service with
    createCapsule = func(caller : Principal, subject : Capsule.PersonRef) : Capsule.Result<Capsule.CapsuleHeader> {
      if (caller == owner and ImportState.hasCapsule(state)) return #Ok(Capsules.header(state.capsule));
      service.createCapsule(caller, subject);
    };
  };
};
