/// How a worker ends a creation: verify what was copied, complete what was handed over, or put a failure on record. Owns
/// the order of the questions to other canisters; what follows from the answers is in `CreationEnd` and `Handoff`.
import Principal "mo:core/Principal";
import Manifest "../capsule/Manifest";
import Store "../capsule/Store";
import Attestation "Attestation";
import CanisterOperations "CanisterOperations";
import Creation "Creation";
import CreationEnd "CreationEnd";
import CreationSteps "CreationSteps";
import Creations "Creations";
import Endowment "Endowment";
import Errors "Errors";
import Handoff "Handoff";
import History "History";
import Roles "Roles";
import Types "Types";
import Verification "Verification";

mixin (context : Creation.Context, authorities : Attestation.Authorities) {
  // ---- Verification ----
  /// Judges the target's history, and compares the target with the source, under the write lock. In this order, so that
  /// nothing is asked of a module that isn't approved, and so that whatever is deployed after the judgement comes after
  /// the verification.
  public shared ({ caller }) func verify_creation(
    lease : Types.LeaseRef
  ) : async Types.Result<Types.VerificationReport> {
    let (creation, canisterId) = switch (verifiable(caller, lease)) {
      case (#Ok(creation, _, canisterId)) (creation, canisterId);
      case (#Err problem) return #Err problem;
    };
    let ?held = creation.lease else return #Err(Errors.busy("The lease is lost."));
    held.verifications += 1;
    try await* verify<system>(caller, lease, canisterId) finally held.verifications -= 1;
  };

  func verify<system>(
    caller : Principal,
    lease : Types.LeaseRef,
    canisterId : Principal,
  ) : async* Types.Result<Types.VerificationReport> {
    // Sent before anything else is asked, so that it is answered before anybody can hand the canister over, after which the
    // backend sees no status; a timer may come too late for that. The verification's answer doesn't wait for it.
    ignore async { await* look(lease.owner, canisterId) };
    let info = await* CanisterOperations.info(context.calls, canisterId);
    let (attested, moduleHash) = switch (attestedBy(caller, lease, canisterId, info)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    let answer = await* CanisterOperations.manifest(context.calls, canisterId);

    // Another worker may have taken over while the canisters answered, and the lock may have ended.
    let (creation, capsule) = switch (verifiable(caller, lease)) {
      case (#Ok(c, s, _)) (c, s);
      case (#Err problem) return #Err problem;
    };
    let target = switch answer {
      case (#Manifest held) held;
      case (#Rejected reason) {
        let why = "The personal canister gave no manifest: " # reason # Attestation.ofFormer(context);
        return #Err(Attestation.unverified(creation, why));
      };
    };
    let report = Verification.compare(Manifest.take(capsule, authorities.backend(), context.now()), target, canisterId);
    CreationEnd.recordVerification(context, creation, report, attested, moduleHash);
    #Ok {
      report with handoff_until = if (report.matches) ?Handoff.permit<system>(context, authorities, creation) else null
    };
  };

  /// What the canister has and burns, asked beside the verification, which doesn't wait for it and doesn't need it.
  func look(owner : Principal, canisterId : Principal) : async* () {
    let #Shown told = await* CanisterOperations.status(context.calls, canisterId) else return;
    let ?creation = Creations.get(context.creations, owner) else return;
    Endowment.note(context, creation, canisterId, told);
  };

  func verifiable(
    caller : Principal,
    lease : Types.LeaseRef,
  ) : Types.Result<(Creation.Creation, Store.Capsule, Principal)> {
    let (creation, capsule) = switch (CreationSteps.leasedCapsule(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    switch (CreationEnd.beginVerification(context, creation)) {
      case (#Ok canisterId) #Ok(creation, capsule, canisterId);
      case (#Err error) #Err error;
    };
  };

  /// What of the canister's history is good before its content is compared, and the module that is to be asked.
  func attestedBy(
    caller : Principal,
    lease : Types.LeaseRef,
    canisterId : Principal,
    info : CanisterOperations.Info,
  ) : Types.Result<(History.Attested, ?Blob)> {
    let creation = switch (verifiable(caller, lease)) {
      case (#Ok(some, _, _)) some;
      case (#Err problem) return #Err problem;
    };
    let history = switch (Attestation.told(creation, info)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    let moment = if (Creation.isSealed(creation)) #Permitted else #Before;
    switch (Attestation.attest(context, authorities, creation, canisterId, history, moment)) {
      case (#Err problem) #Err problem;
      case (#Ok attested) switch (Attestation.notReleased(context, history.module_hash)) {
        case (?problem) #Err(Attestation.unverified(creation, problem));
        case null #Ok(attested, history.module_hash);
      };
    };
  };

  // ---- Completion ----
  public shared ({ caller }) func complete_creation(
    lease : Types.LeaseRef
  ) : async Types.Result<Types.DetailedCreationStatus> {
    switch (Roles.requireOperator(authorities.roles, caller)) { case null {}; case (?problem) return #Err problem };
    switch (ended(lease.owner, #Completed)) { case (?done) return #Ok done; case null {} };
    let (wanted, canisterId) = switch (completable(caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    let answer = await* Handoff.outcome(context, authorities, wanted, canisterId);

    switch (ended(lease.owner, #Completed)) { case (?done) return #Ok done; case null {} };
    switch answer { case (#Refused error) return #Err error; case _ {} };
    let creation = switch (completable(caller, lease)) {
      case (#Ok(some, _)) some;
      case (#Err problem) return #Err problem;
    };
    switch answer {
      case (#HandedOver since) {
        CreationEnd.complete(context, creation, since);
        await* Endowment.pay<system>(context, creation);
        #Ok(Creation.detailed(context, creation));
      };
      case (#Refused error) #Err error;
      case (#Gone) #Err(Attestation.deleted(creation));
      case (#NotHandedOver message or #Unknown message) {
        #Err(Creation.located(creation, Errors.make(#HandoffFailed, message, true)));
      };
    };
  };

  func completable(caller : Principal, lease : Types.LeaseRef) : Types.Result<(Creation.Creation, Principal)> {
    let creation = switch (CreationSteps.leased(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    switch (CreationEnd.beginCompletion(context, creation)) {
      case (#Ok canisterId) #Ok(creation, canisterId);
      case (#Err error) #Err error;
    };
  };

  // ---- Failure ----
  /// The owner's creation, if it has ended this way already: to end it once more is a success.
  func ended(owner : Principal, status : Types.CreationStatus) : ?Types.DetailedCreationStatus {
    let ?creation = Creations.get(context.creations, owner) else return null;
    if (creation.status == status) ?Creation.detailed(context, creation) else null;
  };

  public shared ({ caller }) func fail_creation(
    lease : Types.LeaseRef,
    error : Types.CreationError,
  ) : async Types.Result<Types.DetailedCreationStatus> {
    switch (Roles.requireOperator(authorities.roles, caller)) { case null {}; case (?problem) return #Err problem };
    switch (ended(lease.owner, #Failed)) { case (?done) return #Ok done; case null {} };
    let creation = switch (CreationSteps.leased(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    switch (Creation.busy(context, creation)) { case null {}; case (?problem) return #Err problem };
    CreationEnd.fail(context, creation, error);
    #Ok(Creation.detailed(context, creation));
  };
};
