/// How a creation ends: verified and completed, failed, or cleared after its end. The questions to other canisters that
/// decide on it are asked in `OutcomeApi`.
import Array "mo:core/Array";
import Principal "mo:core/Principal";
import Alerts "Alerts";
import Creation "Creation";
import CreationPolicy "CreationPolicy";
import Creations "Creations";
import Endowment "Endowment";
import Errors "Errors";
import History "History";
import Registry "Registry";
import Reserve "Reserve";
import Types "Types";

module {
  /// The canister to verify.
  public func beginVerification(context : Creation.Context, creation : Creation.Creation) : Types.Result<Principal> {
    let ?canisterId = creation.canisterId else {
      return #Err(Creation.refused(creation, "Nothing to verify yet: the import comes first."));
    };
    if (creation.status != #Verifying) Creation.move(context, creation, #Verifying);
    #Ok canisterId;
  };

  /// Keeps the outcome. What was found equal, and may be handed over by now, isn't unmade by a later difference: the look
  /// at the canister decides on it.
  public func recordVerification(
    context : Creation.Context,
    creation : Creation.Creation,
    report : Types.VerificationReport,
    attested : History.Attested,
    moduleHash : ?Blob,
  ) {
    creation.updatedAt := context.now();
    creation.sourceManifest := ?report.source;
    if (report.matches) {
      creation.verifiedRevision := ?report.source.revision;
      creation.attested := ?attested;
      creation.verifiedModule := moduleHash;
      creation.progressMessage := "Verified; handing the canister over.";
    } else {
      if (not Creation.isSealed(creation)) creation.verifiedRevision := null;
      creation.progressMessage := "The personal canister differs from the capsule.";
    };
  };

  /// The canister to complete, when it's verified as the capsule is now.
  public func beginCompletion(context : Creation.Context, creation : Creation.Creation) : Types.Result<Principal> {
    let ?canisterId = creation.canisterId else {
      return #Err(Creation.refused(creation, "There is nothing to complete yet: the canister comes first."));
    };
    if (Creation.isVerified(context, creation)) return #Ok canisterId;
    #Err(Creation.located(
      creation,
      Errors.make(
        #VerifyFailed,
        switch (creation.verifiedRevision) {
          case null "The personal canister has not been verified; call verify_creation first.";
          case (?_) {
            "The capsule changed after its verification: copy the changes and verify again. If the owner alone "
            # "controls the canister already, the owner must add the operator as a controller for that.";
          };
        },
        true,
      ),
    ));
  };

  /// The canister is its owner's: the capsule takes no writes here any more. Also of a creation that was failed while
  /// the handoff was under way. `since` when its owner alone controls it.
  public func complete(context : Creation.Context, creation : Creation.Creation, since : Nat64) {
    let now = context.now();
    if (creation.status == #Failed) context.switches.failures -= 1;
    Creation.move(context, creation, #Completed);
    creation.completedAt := ?now;
    creation.error := null;
    creation.lease := null;
    Creations.unseal(context.creations, creation);
    creation.progress := {
      creation.progress with
      stage = #Completed;
      bytes_done = creation.progress.bytes_total;
      items_done = creation.progress.items_total;
    };
    creation.ownedSince := since;
    Endowment.owe(context, creation);
    Creation.setRegistryStatus(context, creation);
    context.switches.successes += 1;
    Creation.watchReserve(context);
  };

  /// The capsule stays as it is, and so does the canister, for a retry or for clean-up. A seal stays, too: a handoff that
  /// is under way isn't undone by a failure on record.
  public func fail(context : Creation.Context, creation : Creation.Creation, error : Types.CreationError) {
    let told = Creation.located(creation, { error with message = Creation.shortened(error.message) });
    let now = context.now();
    creation.failures := CreationPolicy.inARow(creation.failures, creation.failedAt, now);
    creation.failedAt := now;
    let waited = creation.waits;
    Creation.move(context, creation, #Failed);
    creation.error := ?told;
    creation.progressMessage := told.message;
    creation.lease := null;
    if (not Creation.isSealed(creation)) {
      creation.verifiedRevision := null;
      creation.attested := null;
    };
    // Nothing was attempted yet, and nothing held.
    if waited return;
    Creation.hold(context, creation, 0);
    context.switches.failures += 1;
    Alerts.creationFailed(context.alerts, creation.owner, told, now);
    Creation.watchReserve(context);
  };

  /// Ends the creation because its owner or an admin wants so. Refused while the handoff may be under way.
  public func cancel(
    context : Creation.Context,
    creation : Creation.Creation,
    message : Text,
  ) : Types.Result<Types.DetailedCreationStatus> {
    if (not Creations.isOpen(creation)) {
      return #Err(Creation.refused(creation, "Only a creation in progress can be cancelled."));
    };
    switch (Creation.busy(context, creation)) { case null {}; case (?problem) return #Err problem };
    if (Creation.isSealed(creation)) {
      return #Err(Creation.located(
        creation,
        Errors.busy("The canister is being handed over at this moment, or was; in some minutes it is settled which."),
      ));
    };
    fail(context, creation, Errors.make(#Cancelled, message, true));
    #Ok(Creation.detailed(context, creation));
  };

  /// Ends a request that waits for approval, because an admin wants so. Asked again, it waits again.
  public func decline(context : Creation.Context, owner : Principal, reason : Text) : Types.Result<Creation.Creation> {
    let ?creation = Creations.waiting(context.creations, owner) else {
      return #Err(Errors.invalid(owner.toText() # " has no request that waits for approval."));
    };
    fail(context, creation, Errors.make(#Declined, "An admin declined the request: " # reason, false));
    #Ok creation;
  };

  /// Fails because of what was done to the canister, for good: another attempt takes another canister. This one stays in
  /// the registry, as failed, and with its cycles on the books, for clean-up.
  public func lose(
    context : Creation.Context,
    creation : Creation.Creation,
    canisterId : Principal,
    error : Types.CreationError,
  ) {
    if (Creations.isOpen(creation)) fail(context, creation, error) else creation.error := ?error;
    creation.approved := false; // another canister takes another approval
    abandon(context, creation, canisterId);
  };

  /// Goes on without the canister, whose history has become too long to be told whole, and holds what another one costs.
  public func giveUp(context : Creation.Context, creation : Creation.Creation, canisterId : Principal) {
    abandon(context, creation, canisterId);
    let bytes = switch (creation.sourceManifest) { case (?manifest) manifest.content_size; case null 0 : Nat64 };
    let needed = Creation.needed(context, bytes);
    // Without room in the budget it holds nothing, and asks again when it is to be provisioned.
    let hasRoom = Reserve.overBudget(context.reserve, needed, creation.cyclesHeld, context.now()) == null;
    Creation.hold(context, creation, if hasRoom needed else 0);
  };

  func abandon(context : Creation.Context, creation : Creation.Creation, canisterId : Principal) {
    Registry.setStatus(context.registry, canisterId, #Failed);
    creation.lost := creation.lost.concat([canisterId]);
    creation.canisterId := null;
    creation.rest := 0;
    creation.operators := [];
    creation.verifiedRevision := null;
    creation.attested := null;
    Creations.unseal(context.creations, creation);
  };

  /// Forgets a creation that has failed or was undone, so that its owner may begin anew; the registry keeps its canister. A
  /// completed one stays: forgotten, there would be two capsules that take writes, and nobody would know.
  public func clear(context : Creation.Context, owner : Principal) : Types.CreationResult {
    let ?creation = Creations.get(context.creations, owner) else {
      return #Err(Errors.invalid(owner.toText() # " has no creation to clear."));
    };
    if (Creations.isOpen(creation)) {
      return #Err(
        Creation.refused(creation, "A creation in progress must be failed by an operator before it can be cleared.")
      );
    };
    if (creation.status == #Completed) {
      return #Err(Creation.refused(
        creation,
        "A creation that is completed can't be cleared: the capsule lives in the personal canister, and the one here would "
        # "take writes beside it. Its owner takes it back (owner undo, owner move-back), also when the canister was "
        # "deleted, or has it erased here (owner erase).",
      ));
    };
    if (Creation.isSealed(creation)) {
      return #Err(Creation.unsettled(creation));
    };
    Creations.remove(context.creations, creation);
    #Ok;
  };
};
