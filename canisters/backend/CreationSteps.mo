/// The steps of a worker up to the canister: claim, export, progress, provisioning. Each function runs to its end
/// within one message; the calls between canisters are in `OperatorApi`, which records each step here before it awaits
/// the next.
import Nat "mo:core/Nat";
import Principal "mo:core/Principal";
import Capsule "../capsule/Types";
import Store "../capsule/Store";
import Alerts "Alerts";
import Belonging "Belonging";
import Creation "Creation";
import Creations "Creations";
import Errors "Errors";
import Leases "Leases";
import Registry "Registry";
import Reserve "Reserve";
import Roles "Roles";
import Types "Types";

module {
  /// Leases the owner's open creation to the operator. Refuses one that another worker holds, or that belongs to another
  /// operator.
  public func claim(
    context : Creation.Context,
    operator : Principal,
    request : Types.ClaimRequest,
  ) : Types.Result<Types.CreationLease> {
    let creation = switch (open(context, request.owner)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    switch (Belonging.refusal(context, creation, operator)) { case null {}; case (?problem) return #Err problem };
    switch (Creation.stopped(context)) { case null {}; case (?problem) return #Err(Creation.located(creation, problem)) };
    switch (Leases.claim(context.leases, creation.lease, operator, request, context.now())) {
      case (#Err error) #Err(Creation.located(creation, error));
      case (#Ok lease) {
        creation.lease := ?lease;
        Creation.watchReserve(context);
        #Ok {
          lease = lease.number;
          expires_at = lease.expiresAt;
          creation = Creation.detailed(context, creation);
          manifest = null;
        };
      };
    };
  };

  /// The open creation that the caller, an operator, holds a live lease of.
  public func leased(
    context : Creation.Context,
    roles : Roles.State,
    caller : Principal,
    lease : Types.LeaseRef,
  ) : Types.Result<Creation.Creation> {
    switch (Roles.requireOperator(roles, caller)) { case null {}; case (?problem) return #Err problem };
    let creation = switch (open(context, lease.owner)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    switch (Leases.require(creation.lease, caller, lease.lease, context.now())) {
      case (#Ok _) #Ok creation;
      case (#Err error) #Err(Creation.located(creation, error));
    };
  };

  /// The same with its capsule: an operator sees a capsule only while its owner's request is open and leased to it.
  public func leasedCapsule(
    context : Creation.Context,
    roles : Roles.State,
    caller : Principal,
    lease : Types.LeaseRef,
  ) : Types.Result<(Creation.Creation, Store.Capsule)> {
    let creation = switch (leased(context, roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    let ?capsule = Store.selfCapsule(context.store, creation.owner) else {
      return #Err(Creation.refused(creation, "The owner has no self-capsule any more."));
    };
    #Ok(creation, capsule);
  };

  func open(context : Creation.Context, owner : Principal) : Types.Result<Creation.Creation> {
    let ?creation = Creations.get(context.creations, owner) else {
      return #Err(Errors.invalid(owner.toText() # " has not asked for a personal canister."));
    };
    if (not Creations.isOpen(creation)) {
      return #Err(Creation.refused(creation, "The creation of " # owner.toText() # " is not in progress."));
    };
    if (creation.waits) {
      let message = "The request of " # owner.toText() # " waits for approval by an admin.";
      return #Err(Creation.located(creation, Errors.make(#NotAdmitted, message, true)));
    };
    #Ok creation;
  };

  /// Lets another worker claim the creation at once.
  public func releaseLease(creation : Creation.Creation) { creation.lease := null };

  /// Records the source manifest; with `lock`, writes are refused from now on until the lease ends.
  public func beginExport(
    context : Creation.Context,
    creation : Creation.Creation,
    manifest : Capsule.CapsuleManifest,
    lock : Bool,
  ) {
    if (creation.status == #NotStarted) {
      Creation.move(context, creation, #Exporting);
      creation.progressMessage := "Reading the capsule.";
      creation.progress := {
        Creations.noProgress() with
        stage = #Exporting;
        bytes_total = manifest.content_size;
        items_total = 1 + manifest.memories + manifest.galleries + manifest.connections + manifest.connection_groups;
      };
    };
    creation.sourceManifest := ?manifest;
    creation.updatedAt := context.now();
    if lock {
      switch (creation.lease) { case (?lease) lease.locksWrites := true; case null {} };
    };
  };

  /// Progress within the present stage, or one step or more forward among Installing, Importing and Verifying.
  public func report(
    context : Creation.Context,
    creation : Creation.Creation,
    progress : Types.CreationProgress,
    message : Text,
  ) : Types.CreationResult {
    if (progress.stage != creation.status) {
      let forward = Creations.rank(progress.stage) > Creations.rank(creation.status);
      switch (progress.stage) {
        case (#Installing or #Importing or #Verifying) {
          if (not forward) {
            let stage = Errors.statusText(progress.stage);
            return #Err(Creation.refused(creation, "A creation does not go back to " # stage # "."));
          };
          if (creation.canisterId == null or Creations.rank(creation.status) < Creations.rank(#Creating)) {
            return #Err(
              Creation.refused(creation, "There is no canister for this attempt yet; call provision_canister first.")
            );
          };
        };
        case other {
          let stage = Errors.statusText(other);
          return #Err(Creation.refused(creation, "report_progress cannot set the stage " # stage # "."));
        };
      };
      Creation.move(context, creation, progress.stage);
    };
    creation.progress := progress;
    creation.progressMessage := Creation.shortened(message);
    creation.updatedAt := context.now();
    #Ok;
  };

  public type Provisioning = { #Existing : Principal; #Debited : Debit };
  /// What leaves for a new canister; `rest` follows at its completion, and is held until then.
  public type Debit = { cycles : Nat; rest : Nat; entry : Nat64 };

  /// Everything that must be on record before cycles leave for a new canister, which the operator is going to control; or
  /// the canister that is there already.
  public func beginProvisioning(
    context : Creation.Context,
    creation : Creation.Creation,
    operator : Principal,
  ) : Types.Result<Provisioning> {
    let ?manifest = creation.sourceManifest else {
      return #Err(Creation.refused(creation, "There is no source manifest yet; claim the creation again."));
    };
    let starts = creation.status == #Exporting;
    switch (creation.canisterId) {
      case (?canisterId) {
        if starts {
          Creation.move(context, creation, #Creating);
          creation.progressMessage := "Going on with the canister that is there already.";
        };
        return #Ok(#Existing canisterId);
      };
      case null {};
    };
    let { first; rest } = Creation.parts(context, manifest.content_size);
    let cycles = first + rest;
    switch (Reserve.preflight(context.reserve, context.funds(), cycles, creation.cyclesHeld)) {
      case (?error) {
        let told = Creation.located(creation, error);
        Alerts.logError(context.alerts, creation.owner, told, context.now());
        Creation.watchReserve(context);
        return #Err told;
      };
      case null {};
    };
    switch (Reserve.overBudget(context.reserve, cycles, creation.cyclesHeld, context.now())) {
      case (?error) {
        let told = Creation.located(creation, error);
        Alerts.logRefusal(context.alerts, creation.owner, told, context.now());
        return #Err told;
      };
      case null {};
    };
    if starts Creation.move(context, creation, #Creating);
    creation.operators := [operator];
    creation.progressMessage := "Creating the canister.";
    Creation.hold(context, creation, rest);
    let entry = Reserve.debit(context.reserve, creation.owner, first, context.now());
    #Ok(#Debited { cycles = first; rest; entry });
  };

  /// First thing after `create_canister` has answered: from here on the canister can't be lost.
  public func provisioned(
    context : Creation.Context,
    creation : Creation.Creation,
    debit : Debit,
    canisterId : Principal,
    refunded : Nat,
  ) {
    creation.canisterId := ?canisterId;
    creation.entry := debit.entry;
    creation.rest := debit.rest;
    creation.payment := #None;
    creation.seen := null;
    creation.paidUntil := null;
    creation.error := null;
    let cycles_consumed = settle(context, debit, ?canisterId, refunded);
    Registry.add(
      context.registry,
      {
        canister_id = canisterId;
        created_by = creation.owner;
        created_at = context.now();
        status = creation.status;
        cycles_consumed;
        paid_until = null;
        seen = null;
        found_deleted_at = null;
      },
    );
    creation.updatedAt := context.now();
    creation.progressMessage := "The canister is there.";
    Creation.watchReserve(context);
  };

  /// `create_canister` was rejected: the cycles are back, and the creation may provision again.
  public func provisioningRejected(
    context : Creation.Context,
    creation : Creation.Creation,
    debit : Debit,
    refunded : Nat,
    reason : Text,
  ) : Types.CreationError {
    creation.operators := [];
    ignore settle(context, debit, null, refunded);
    Creation.hold(context, creation, debit.cycles + debit.rest);
    let message = Creation.shortened("The canister could not be created: " # reason);
    let error = Creation.located(creation, Errors.make(#CreateFailed, message, true));
    creation.error := ?error;
    creation.progressMessage := error.message;
    Alerts.logError(context.alerts, creation.owner, error, context.now());
    Creation.watchReserve(context);
    error;
  };

  /// Books what the canister has cost, and returns it, in cycles.
  func settle(
    context : Creation.Context,
    debit : Debit,
    canisterId : ?Principal,
    refunded : Nat,
  ) : Nat {
    let back = Nat.min(refunded, debit.cycles);
    Reserve.settle(context.reserve, debit.entry, canisterId, back);
    debit.cycles - back;
  };
};
