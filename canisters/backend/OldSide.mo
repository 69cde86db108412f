/// The old side of a completed creation: the capsule on the backend after it has moved. Its owner may have it back, as long
/// as nobody writes to two capsules unnoticed: the personal canister must hold what the capsule here holds, or what its
/// owner has brought back from there. Owns that judgement; not the erasing (`Erasures`).
///
/// The owner controls the personal canister, and may let it say anything. What that brings about is the owner's own: the
/// capsule here takes their writes again, with what it has.
import Array "mo:core/Array";
import Map "mo:core/Map";
import Option "mo:core/Option";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Manifest "../capsule/Manifest";
import Attestation "Attestation";
import CanisterOperations "CanisterOperations";
import Creation "Creation";
import Creations "Creations";
import Errors "Errors";
import Types "Types";
import Verification "Verification";

module {
  /// How long the owner's writes are taken here beside the personal canister, from the last time the owner asked for it.
  public let moveBackNs : Nat64 = 86_400_000_000_000;

  /// What became of a completed creation's canister. `Theirs`: it is its owner's, and got the capsule of that manifest hash;
  /// `held`: what it has now, if its owner lets it tell. `Gone`: it was deleted, or has no module and so nothing any more, as when its cycles were used up.
  public type Standing = { #Theirs : { imported : Blob; held : ?Blob }; #Gone; #Refused : Types.CreationError };

  /// Asks the network who controls the canister and what it runs, and then the canister, if that is an approved release.
  public func standing(
    context : Creation.Context,
    creation : Creation.Creation,
    canisterId : Principal,
  ) : async* Standing {
    func refused(error : Types.CreationError) : Standing = #Refused(Creation.located(creation, error));
    let info = switch (await* CanisterOperations.info(context.calls, canisterId)) {
      case (#Info some) some;
      case (#Gone) return gone(context, canisterId);
      case (#Rejected reason) return #Refused(Attestation.unverified(creation, Attestation.notTold reason));
    };
    if (info.module_hash == null) return gone(context, canisterId);
    if (info.controllers.indexOf(creation.owner) == null) {
      return refused(Errors.make(#HandoffFailed, Verification.notHandedOver(info.controllers, creation.owner), true));
    };
    switch (Attestation.notReleased(context, info.module_hash)) {
      case null {};
      case (?problem) return #Refused(Attestation.unverified(
        creation,
        problem # " Only an approved release is asked what it holds: upgrade the canister to one, or delete it.",
      ));
    };
    switch (await* CanisterOperations.manifest(context.calls, canisterId)) {
      case (#Rejected reason) {
        let why = "The personal canister gave no manifest: " # reason # Attestation.ofFormer(context);
        #Refused(Attestation.unverified(creation, why));
      };
      case (#Manifest { manifest; imported; closed_until }) switch imported {
        case (?{ capsule_id; manifest_hash }) if (manifest.capsule_id == creation.capsuleId and capsule_id == creation.capsuleId) {
          #Theirs { imported = manifest_hash; held = if (closed_until == null) null else ?manifest.manifest_hash };
        } else #Refused(otherCapsule creation);
        case null #Refused(otherCapsule creation);
      };
    };
  };

  func gone(context : Creation.Context, canisterId : Principal) : Standing {
    Creation.deleted(context, canisterId);
    #Gone;
  };

  func otherCapsule(creation : Creation.Creation) : Types.CreationError {
    Attestation.unverified(creation, "The personal canister doesn't hold this capsule.");
  };

  /// The owner's completed creation and its canister, unless its contents here are to be erased, or are.
  public func whole(context : Creation.Context, owner : Principal) : Types.Result<(Creation.Creation, Principal)> {
    switch (completed(context, owner)) {
      case (#Err problem) #Err problem;
      case (#Ok(creation, canisterId)) switch (creation.erasure) {
        case null #Ok(creation, canisterId);
        case (?erasure) if (erasure.begun != null) #Err(erased creation) else #Err(Creation.refused(
          creation,
          "The contents here are to be erased; cancel that first (owner erase --cancel).",
        ));
      };
    };
  };

  /// The owner's completed creation and its canister.
  public func completed(context : Creation.Context, owner : Principal) : Types.Result<(Creation.Creation, Principal)> {
    let ?creation = Creations.get(context.creations, owner) else {
      return #Err(Errors.unauthorized(owner, "the owner of a personal canister that was made here"));
    };
    switch (creation.status, creation.canisterId) {
      case (#Completed, ?canisterId) #Ok(creation, canisterId);
      case (#Undone, _) #Err(Creation.located(creation, Errors.tooLate("The creation is undone already.")));
      case _ #Err(Creation.located(
        creation,
        Errors.tooEarly("The creation isn't completed; the capsule is here and nowhere else."),
      ));
    };
  };

  /// Lets the owner's writes in here, beside the personal canister; returns until when. The same again makes it longer.
  public func beginMoveBack(context : Creation.Context, owner : Principal) : Types.Result<Nat64> {
    switch (whole(context, owner)) {
      case (#Err problem) #Err problem;
      case (#Ok(creation, _)) {
        creation.moveBackUntil := context.now() + moveBackNs;
        creation.updatedAt := context.now();
        #Ok(creation.moveBackUntil);
      };
    };
  };

  /// The canister of a creation that may be undone, before anybody is asked about it. What is erased here is undone only
  /// when there is no other copy.
  public func undoable(context : Creation.Context, owner : Principal) : Types.Result<(Creation.Creation, Principal)> {
    let (creation, canisterId) = switch (completed(context, owner)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    if (creation.payment == #Owed or creation.payment == #Sent) {
      return #Err(Creation.located(creation, Errors.busy("The canister hasn't got the rest of its cycles yet.")));
    };
    switch (creation.erasure) {
      case (?erasure) if (erasure.erasedAt != null) #Ok(creation, canisterId) else whole(context, owner);
      case null #Ok(creation, canisterId);
    };
  };

  /// Why it isn't undone, as its canister stands, or null. `movedBack`: what of the canister the owner has brought back.
  public func problem(
    context : Creation.Context,
    creation : Creation.Creation,
    standing : Standing,
    movedBack : ?Blob,
  ) : ?Types.CreationError {
    if (standing == #Gone) return null;
    if (creation.erasure.isSome()) return ?erased creation;
    let held = switch standing {
      case (#Gone) return null;
      case (#Refused error) return ?error;
      case (#Theirs { held = ?hash }) hash;
      case (#Theirs { held = null }) return ?Creation.located(
        creation,
        Errors.tooEarly(
          "The personal canister tells the backend what it holds only when its owner wants so, and closes it for that "
          # "(close_for_undo)."
        ),
      );
    };
    let ?capsule = context.store.capsules.get(creation.capsuleId) else return ?Errors.invalid("The capsule is gone.");
    if (held == Manifest.hash(capsule)) return null;
    let ?brought = movedBack else return ?written(
      creation,
      "Something was written on the personal canister, or here, since the creation was completed: bring that back first "
      # "(owner move-back).",
    );
    if (creation.moveBackUntil == 0) {
      return ?Creation.located(creation, Errors.tooEarly("Nothing was moved back yet (begin_move_back)."));
    };
    if (held == brought) return null;
    ?written(creation, "Something was written on the personal canister while the rest was moved back; do that again.");
  };

  func erased(creation : Creation.Creation) : Types.CreationError {
    Creation.located(creation, Errors.tooLate("The contents here are erased: the personal canister has the only copy."));
  };

  func written(creation : Creation.Creation, message : Text) : Types.CreationError {
    Creation.located(creation, Errors.make(#Written, message, false));
  };

  /// The capsule here takes writes again. The canister is its owner's to keep or to delete; another creation takes another.
  public func undo(context : Creation.Context, creation : Creation.Creation) {
    creation.undoneAt := ?context.now();
    creation.undone += 1;
    creation.moveBackUntil := 0;
    creation.approved := false; // another canister takes another approval
    creation.progressMessage := "Undone: the capsule is on the backend again; the personal canister is its owner's to "
    # "keep or to delete.";
    context.switches.undone += 1;
    Creation.move(context, creation, #Undone);
  };
};
