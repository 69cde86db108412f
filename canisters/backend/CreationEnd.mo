/// How a creation ends: verified and completed, failed, or cleared after its end. The questions to other canisters that
/// decide on it are asked in `OperatorApi`.
import Principal "mo:core/Principal";
import Alerts "Alerts";
import Creation "Creation";
import CreationPolicy "CreationPolicy";
import Creations "Creations";
import Errors "Errors";
import Types "Types";

module {
  /// The canister to verify; the target's answer counts only under a write lock.
  public func beginVerification(context : Creation.Context, creation : Creation.Creation) : Types.Result<Principal> {
    let canisterId = switch (creation.canisterId, creation.status) {
      case (?some, #Importing or #Verifying) some;
      case _ return #Err(Creation.refused(creation, "Nothing to verify yet: the import comes first."));
    };
    let ?lease = creation.lease else return #Err(Errors.busy("The lease is lost."));
    if (not lease.locksWrites) {
      return #Err(
        Creation.refused(creation, "Verification needs the write lock; call begin_export with lock = true first.")
      );
    };
    if (creation.status != #Verifying) Creation.move(context, creation, #Verifying);
    #Ok canisterId;
  };

  /// Keeps the outcome; after a match the capsule is sealed for the time of the handoff.
  public func recordVerification(
    context : Creation.Context,
    creation : Creation.Creation,
    report : Types.VerificationReport,
  ) {
    let now = context.now();
    creation.updatedAt := now;
    if (report.matches) {
      creation.verifiedRevision := ?report.source.revision;
      creation.sourceManifest := ?report.source;
      creation.sealedUntil := now + CreationPolicy.handoffNs;
      creation.progressMessage := "Verified; handing the canister over.";
    } else {
      Creation.unverify(creation);
      creation.progressMessage := "The personal canister differs from the capsule.";
    };
  };

  /// The canister to complete, when it's verified as the capsule is now.
  public func beginCompletion(context : Creation.Context, creation : Creation.Creation) : Types.Result<Principal> {
    let canisterId = switch (creation.canisterId, creation.status) {
      case (?some, #Verifying) some;
      case _ return #Err(Creation.refused(creation, "Only a creation at stage Verifying can be completed."));
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

  /// The canister is its owner's: the capsule takes no writes here any more.
  public func complete(context : Creation.Context, creation : Creation.Creation) {
    let now = context.now();
    Creation.move(context, creation, #Completed);
    creation.completedAt := ?now;
    creation.error := null;
    creation.lease := null;
    creation.sealedUntil := 0;
    creation.progress := {
      creation.progress with
      stage = #Completed;
      bytes_done = creation.progress.bytes_total;
      items_done = creation.progress.items_total;
    };
    creation.progressMessage := "The personal canister is ready and its owner alone controls it.";
    Creation.hold(context, creation, 0);
    Creation.setRegistryStatus(context, creation);
    context.switches.successes += 1;
    Creation.watchReserve(context);
  };

  /// The capsule stays as it is, and so does the canister, for a retry or for clean-up.
  public func fail(context : Creation.Context, creation : Creation.Creation, error : Types.CreationError) {
    let told = Creation.located(creation, { error with message = Creation.shortened(error.message) });
    Creation.move(context, creation, #Failed);
    creation.error := ?told;
    creation.progressMessage := told.message;
    creation.lease := null;
    Creation.unverify(creation);
    Creation.hold(context, creation, 0);
    context.switches.failures += 1;
    Alerts.creationFailed(context.alerts, creation.owner, told, context.now());
    Creation.watchReserve(context);
  };

  /// Forgets a creation that has ended, so that its owner may begin anew; the registry keeps its canister. Clearing a
  /// completed one makes the shared capsule writable again.
  public func clear(context : Creation.Context, owner : Principal) : Types.CreationResult {
    let ?creation = Creations.get(context.creations, owner) else {
      return #Err(Errors.invalid(owner.toText() # " has no creation to clear."));
    };
    if (Creations.isOpen(creation)) {
      return #Err(
        Creation.refused(creation, "A creation in progress must be failed by an operator before it can be cleared.")
      );
    };
    Creations.remove(context.creations, creation);
    #Ok;
  };
};
