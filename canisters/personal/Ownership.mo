/// Whose canister this is: the capsule API belongs to the owner and to the people who may write the capsule. Before the
/// import is final it changes nothing, and shows nothing to others. Owns no state.
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Access "../capsule/Access";
import Capsule "../capsule/Types";
import Capsules "../capsule/Capsules";
import CapsuleService "../capsule/CapsuleService";
import Guard "../capsule/Guard";
import Randomness "../capsule/Randomness";
import Heap "../capsule/Heap";
import Quotas "../capsule/Quotas";
import Store "../capsule/Store";
import ImportState "ImportState";

module {
  type Refusal = ?Capsule.CapsuleError;

  /// Refuses users who aren't the owner's people, further capsules, and writes before the import is final.
  public func host(owner : Principal, store : Store.Store, state : ImportState.State) : Guard.Host {
    func unfinished() : Refusal {
      if (state.final == null) ?#Locked { reason = "import in progress"; until = null } else null;
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
      isComplete = func() = state.final != null;
      refuseWrite = func _ = unfinished();
      refuseGrowth = func() = Quotas.checkHeap(store.books, Heap.bytes());
      isAdmin = func _ = false;
      staged = func() = state.pending.values().flatMap(func pending = pending.chunks.values());
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
