/// What an owner calls about the capsule that moved away from here: have it back, bring back what was written since, have it
/// erased. Owns the order of the questions to other canisters; what follows from the answers is in `OldSide` and `Erasures`.
import CertifiedData "mo:core/CertifiedData";
import Option "mo:core/Option";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Creation "Creation";
import Creations "Creations";
import Erasures "Erasures";
import Errors "Errors";
import OldSide "OldSide";
import Roles "Roles";
import Types "Types";

mixin (context : Creation.Context) {
  type Details = Types.Result<Types.DetailedCreationStatus>;

  func told(creation : Creation.Creation) : Details = #Ok(Creation.detailedForOwner(context, creation));

  /// Asks about the owner's canister: once at a time, so that nobody keeps the backend waiting by asking often.
  func ask(creation : Creation.Creation, canisterId : Principal) : async* Types.Result<OldSide.Standing> {
    let owner = creation.owner;
    if (context.asking.contains(owner)) {
      return #Err(Creation.located(creation, Errors.busy("The canister is being asked about already.")));
    };
    context.asking.add(owner);
    try #Ok(await* OldSide.standing(context, creation, canisterId)) finally context.asking.remove(owner);
  };

  // ---- Undo ----
  public shared ({ caller }) func undo_personal_canister(moved_back : ?Blob) : async Details {
    switch (Roles.requireOpen(context.roles)) { case null {}; case (?problem) return #Err problem };
    switch (Creations.get(context.creations, caller)) {
      case (?creation) if (creation.status == #Undone) return told creation;
      case null {};
    };
    let (wanted, canisterId) = switch (OldSide.undoable(context, caller)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    let standing = switch (await* ask(wanted, canisterId)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    // It may have been settled otherwise while others answered.
    let creation = switch (OldSide.undoable(context, caller)) {
      case (#Ok(some, _)) some;
      case (#Err problem) return #Err problem;
    };
    switch (OldSide.problem(context, creation, standing, moved_back)) {
      case (?problem) #Err problem;
      case null {
        OldSide.undo(context, creation);
        told creation;
      };
    };
  };

  public shared ({ caller }) func begin_move_back() : async Types.Result<Nat64> {
    switch (Roles.requireOpen(context.roles)) { case null {}; case (?problem) return #Err problem };
    OldSide.beginMoveBack(context, caller);
  };

  // ---- Erasure ----
  public shared ({ caller }) func request_erasure(wait_ns : ?Nat64) : async Details {
    switch (Roles.requireOpen(context.roles)) { case null {}; case (?problem) return #Err problem };
    let (wanted, canisterId) = switch (OldSide.completed(context, caller)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    if (wanted.erasure.isSome()) return told wanted; // whether it waits or is over
    switch (Erasures.checkWait(wait_ns)) { case null {}; case (?problem) return #Err problem };
    let standing = switch (await* ask(wanted, canisterId)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    let creation = switch (OldSide.completed(context, caller)) {
      case (#Ok(some, _)) some;
      case (#Err problem) return #Err problem;
    };
    switch standing {
      case (#Refused problem) return #Err problem;
      case (#Gone) return #Err(Creation.refused(creation, "The personal canister was deleted: the only copy is here."));
      case (#Theirs _) {};
    };
    if (creation.erasure.isNull()) Erasures.request<system>(context, creation, wait_ns);
    told creation;
  };

  public shared ({ caller }) func cancel_erasure() : async Details {
    switch (Roles.requireOpen(context.roles)) { case null {}; case (?problem) return #Err problem };
    switch (Erasures.cancel(context, caller)) { case (#Ok creation) told creation; case (#Err problem) #Err problem };
  };

  public shared query ({ caller }) func get_erasure_receipt() : async Types.Result<Types.CertifiedReceipt> {
    Erasures.receipt(context, caller, CertifiedData.getCertificate());
  };
};
