/// What the orchestrator calls: find open requests, lease one, export its capsule, create its canister. How a creation
/// ends is in `OutcomeApi`.
/// Each step is on record (see `Creation`) before the next effect, so that another worker can go on from anywhere.
import Array "mo:core/Array";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Capsule "../capsule/Types";
import Export "../capsule/Export";
import Manifest "../capsule/Manifest";
import Store "../capsule/Store";
import Attestation "Attestation";
import Belonging "Belonging";
import CanisterOperations "CanisterOperations";
import Creation "Creation";
import CreationEnd "CreationEnd";
import CreationPolicy "CreationPolicy";
import CreationSteps "CreationSteps";
import Creations "Creations";
import Errors "Errors";
import Leases "Leases";
import Registry "Registry";
import Roles "Roles";
import Types "Types";

mixin (context : Creation.Context, authorities : Attestation.Authorities) {
  /// Reads from the leased capsule; what isn't there (any more) is an error of the export.
  func exported<A>(
    caller : Principal,
    lease : Types.LeaseRef,
    read : Store.Capsule -> Capsule.Result<A>,
  ) : Types.Result<A> {
    let (creation, capsule) = switch (CreationSteps.leasedCapsule(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    switch (read(capsule)) {
      case (#Ok value) #Ok value;
      case (#Err error) {
        let (message, retryHelps) = switch error {
          case (#NotFound { kind; id }) (
            "Export: there is no " # kind # " " # id # " in the capsule (any more); list its entries again.",
            true,
          );
          case (#ChecksumMismatch { what }) (
            "Export: " # what # " is damaged: its bytes are not those that were stored. Replace or delete the memory.",
            false,
          );
          case other ("Export: " # debug_show other, false);
        };
        #Err(Creation.located(creation, Errors.make(#ImportFailed, message, retryHelps)));
      };
    };
  };

  // ---- Queue and leases ----
  public shared query ({ caller }) func list_open_requests(
    request : Types.OwnerPageRequest
  ) : async Types.Result<Types.OpenRequestPage> {
    switch (Roles.requireStaff(authorities.roles, caller)) { case null {}; case (?problem) return #Err problem };
    let page = Creations.openRequests(context.creations, request);
    let now = context.now();
    let items = page.items.map(func creation = Creation.openRequest(creation, now));
    #Ok({ page with items });
  };

  public shared ({ caller }) func claim_creation(
    request : Types.ClaimRequest
  ) : async Types.Result<Types.CreationLease> {
    switch (Roles.requireOperator(authorities.roles, caller)) { case null {}; case (?problem) return #Err problem };
    let lease = switch (CreationSteps.claim(context, caller, request)) {
      case (#Ok granted) granted;
      case (#Err problem) return #Err problem;
    };
    // The export begins with the claim: one message less to wait for.
    switch (CreationSteps.leasedCapsule(context, authorities.roles, caller, { owner = request.owner; lease = lease.lease })) {
      case (#Ok(creation, capsule)) {
        let manifest = Manifest.take(capsule, authorities.backend(), context.now());
        CreationSteps.beginExport(context, creation, manifest, false);
        #Ok { lease with manifest = ?manifest; creation = Creation.detailed(context, creation) };
      };
      case (#Err _) #Ok { lease with manifest = null };
    };
  };

  public shared ({ caller }) func renew_lease(lease : Types.LeaseRef) : async Types.Result<Nat64> {
    let creation = switch (CreationSteps.leased(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    switch (Creation.stopped(context)) { case null {}; case (?problem) return #Err(Creation.located(creation, problem)) };
    let ?held = creation.lease else return #Err(Errors.busy("The lease is lost."));
    #Ok(Leases.renew(held, context.now()));
  };

  public shared ({ caller }) func release_lease(lease : Types.LeaseRef) : async Types.CreationResult {
    let creation = switch (CreationSteps.leased(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    CreationSteps.releaseLease(creation);
    #Ok;
  };

  /// The caller's creation becomes another operator's; the caller's part in it ends.
  public shared ({ caller }) func hand_on_creation(lease : Types.LeaseRef, operator : Principal) : async Types.CreationResult {
    let creation = switch (CreationSteps.leased(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    Belonging.handOn(context, creation, operator);
  };

  public shared ({ caller }) func report_progress(
    lease : Types.LeaseRef,
    progress : Types.CreationProgress,
    message : Text,
  ) : async Types.CreationResult {
    let creation = switch (CreationSteps.leased(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    CreationSteps.report(context, creation, progress, message);
  };

  // ---- Export ----
  public shared ({ caller }) func begin_export(
    lease : Types.LeaseRef,
    lock : Bool,
  ) : async Types.Result<Capsule.CapsuleManifest> {
    let (creation, capsule) = switch (CreationSteps.leasedCapsule(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    let manifest = Manifest.take(capsule, authorities.backend(), context.now());
    CreationSteps.beginExport(context, creation, manifest, lock);
    #Ok manifest;
  };

  public shared query ({ caller }) func list_export_entries(
    lease : Types.LeaseRef,
    after : ?Capsule.ItemRef,
    limit : ?Nat32,
  ) : async Types.Result<Capsule.ManifestPage> {
    exported<Capsule.ManifestPage>(caller, lease, func capsule = #Ok(Manifest.entries(capsule, after, limit)));
  };

  public shared query ({ caller }) func get_export_items(
    lease : Types.LeaseRef,
    items : [Capsule.ItemRef],
  ) : async Types.Result<[Capsule.ExportItem]> {
    exported<[Capsule.ExportItem]>(caller, lease, func capsule = Export.items(capsule, items));
  };

  public shared query ({ caller }) func get_export_memory_manifests(
    lease : Types.LeaseRef,
    memory_ids : [Text],
  ) : async Types.Result<[Capsule.MemoryManifest]> {
    exported<[Capsule.MemoryManifest]>(caller, lease, func capsule = Export.memoryManifests(capsule, memory_ids));
  };

  public shared query ({ caller }) func read_export_chunk(
    lease : Types.LeaseRef,
    memory_id : Text,
    index : Nat32,
  ) : async Types.Result<Blob> {
    exported<Blob>(caller, lease, func capsule = Export.chunk(context.store, capsule, memory_id, index));
  };

  // ---- Canister ----
  public shared ({ caller }) func provision_canister(
    lease : Types.LeaseRef
  ) : async Types.Result<Types.ProvisionResult> {
    let creation = switch (CreationSteps.leased(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    switch (Creation.stopped(context)) { case null {}; case (?problem) return #Err(Creation.located(creation, problem)) };
    switch (Creation.busy(context, creation)) { case null {}; case (?problem) return #Err problem };
    let debit = switch (CreationSteps.beginProvisioning(context, creation, caller)) {
      case (#Err problem) return #Err problem;
      case (#Ok(#Existing canister_id)) {
        return #Ok { canister_id; cycles = Registry.cost(context.registry, canister_id); is_new = false };
      };
      case (#Ok(#Debited debit)) debit;
    };
    authorities.enter();
    context.provisioning.add(creation.owner);
    let controllers = CanisterOperations.firstControllers(caller, creation.owner);
    let viewer = authorities.backend();
    switch (await* CanisterOperations.create(context.calls, controllers, viewer, context.hosting.settings, debit.cycles)) {
      case (#Created { canisterId; refunded }) {
        // Recorded whoever holds the lease by now: the canister is there and paid for.
        CreationSteps.provisioned(context, creation, debit, canisterId, refunded);
        context.provisioning.remove(creation.owner);
        #Ok { canister_id = canisterId; cycles = Registry.cost(context.registry, canisterId); is_new = true };
      };
      case (#Rejected { reason; refunded }) {
        let error = CreationSteps.provisioningRejected(context, creation, debit, refunded, reason);
        context.provisioning.remove(creation.owner);
        #Err error;
      };
    };
  };

  /// Before a canister's data are given up for another copy: whether its module may be installed anew. A canister
  /// with a long history is given up whole, since one that isn't told from its beginning can't be attested; what is
  /// provisioned then is another.
  public shared ({ caller }) func start_over(lease : Types.LeaseRef) : async Types.Result<Bool> {
    let canisterId = switch (restartable(caller, lease)) {
      case (#Ok(_, some)) some;
      case (#Err problem) return #Err problem;
    };
    let answer = await* CanisterOperations.info(context.calls, canisterId);
    let creation = switch (restartable(caller, lease)) {
      case (#Ok(some, _)) some;
      case (#Err problem) return #Err problem;
    };
    let history = switch (Attestation.told(creation, answer)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    switch (Attestation.attest(context, authorities, creation, canisterId, history, #Before)) {
      case (#Err problem) return #Err problem;
      case (#Ok { handedOver = true }) {
        return #Err(Creation.refused(creation, "The canister is its owner's already; nobody else may start it over."));
      };
      case (#Ok _) {};
    };
    let isShort = history.total_num_changes < CreationPolicy.mostChanges;
    if (not isShort) CreationEnd.giveUp(context, creation, canisterId);
    #Ok isShort;
  };

  func restartable(caller : Principal, lease : Types.LeaseRef) : Types.Result<(Creation.Creation, Principal)> {
    let creation = switch (CreationSteps.leased(context, authorities.roles, caller, lease)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    switch (Creation.stopped(context)) { case null {}; case (?problem) return #Err(Creation.located(creation, problem)) };
    if (Creation.isSealed(creation)) {
      return #Err(Creation.unsettled(creation));
    };
    switch (creation.canisterId, creation.status) {
      case (?canisterId, #Creating or #Installing or #Importing or #Verifying) #Ok(creation, canisterId);
      case _ #Err(Creation.refused(creation, "There is no canister to start over with."));
    };
  };
};
