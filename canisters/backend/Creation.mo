/// The state machine of a creation: which transition is legal, and what goes with it in reserve, registry, counters and
/// alerts. Every function here runs to its end within one message; the calls between canisters are in the actor, which
/// records each step here before it awaits the next.

import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Text "mo:core/Text";

import Store "../capsule/Store";
import Types "../capsule/Types";
import Alerts "Alerts";
import Creations "Creations";
import Errors "CreationErrors";
import Leases "Leases";
import Policy "CreationPolicy";
import Registry "Registry";
import Reserve "Reserve";
import T "BackendTypes";

module {
  public type Creation = Creations.Creation;

  public type Switch = {
    var enabled : Bool;
    var attempts : Nat64;
    var successes : Nat64;
    var failures : Nat64;
  };

  /// What a creation touches. `now` is in nanoseconds since 1970, `balance` in cycles.
  public type Context = {
    store : Store.Store;
    creations : Creations.State;
    registry : Registry.State;
    reserve : Reserve.State;
    alerts : Alerts.State;
    leases : Leases.Counter;
    switches : Switch;
    now : () -> Nat64;
    balance : () -> Nat;
  };

  let MAX_MESSAGE_CHARS = 1_000;

  // ---- Owner -----------------------------------------------------------------------------------------------------------

  /// Starts a creation, or a new attempt after a failure; otherwise answers with what is.
  public func request(
    context : Context,
    owner : Principal,
    config : ?T.CreatePersonalCanisterConfig,
  ) : T.Result<T.PersonalCanisterCreationResponse> {
    if (Principal.isAnonymous(owner)) return #Err(Errors.unauthorized(owner, "the owner of a capsule"));
    if (not context.switches.enabled) {
      return #Err(Errors.make(#Disabled, "The creation of personal canisters is disabled at present.", true));
    };
    let existing = Creations.get(context.creations, owner);
    switch existing {
      case (?creation) if (creation.status != #Failed) return #Ok(response(creation));
      case null {};
    };
    let ?capsule = Store.selfCapsule(context.store, owner) else {
      return #Err(Errors.invalid(Principal.toText(owner) # " has no capsule here; call register_capsule first."));
    };
    let now = context.now();
    switch config {
      case (?asked) switch (Policy.check(asked)) { case (?error) return #Err error; case null {} };
      case null {};
    };
    switch (overCapacity(context, now)) { case (?error) return #Err error; case null {} };
    let hasCanister = switch existing { case (?creation) creation.canisterId != null; case null false };
    let needed = if hasCanister 0 else Reserve.needed(context.reserve, capsule.content_bytes);
    switch (Reserve.preflight(context.reserve, context.balance(), needed, 0)) {
      case (?error) {
        watchReserve(context);
        return #Err error;
      };
      case null {};
    };

    let creation = switch existing {
      case (?failed) {
        Creations.requeue(context.creations, failed, now);
        failed;
      };
      case null Creations.add(context.creations, owner, capsule.id, now);
    };
    switch config { case (?asked) creation.config := asked; case null {} };
    creation.attempts += 1;
    creation.error := null;
    creation.progress := Creations.noProgress();
    creation.progressMessage := "Requested; waiting for a worker.";
    setRegistryStatus(context, creation);
    hold(context, creation, needed);
    context.switches.attempts += 1;
    Alerts.logAttempt(context.alerts, now);
    watchReserve(context);
    #Ok(response(creation));
  };

  func overCapacity(context : Context, now : Nat64) : ?T.CreationError {
    if (Creations.openCount(context.creations) >= Policy.MAX_OPEN) {
      return ?Errors.busy(
        Nat.toText(Policy.MAX_OPEN) # " creations are in progress, which is the limit; try again later."
      );
    };
    if (Alerts.attemptsReach(context.alerts, Policy.MAX_ATTEMPTS_PER_HOUR, Policy.HOUR_NS, now)) {
      return ?Errors.busy(
        Nat64.toText(Policy.MAX_ATTEMPTS_PER_HOUR) # " creations were requested within an hour, which is the limit; try again later."
      );
    };
    null;
  };

  func response(creation : Creation) : T.PersonalCanisterCreationResponse {
    { success = true; canister_id = creation.canisterId; message = statusMessage(creation) };
  };

  func statusMessage(creation : Creation) : Text {
    switch (creation.status, creation.error) {
      case (#Failed, ?error) error.message;
      case _ creation.progressMessage;
    };
  };

  // ---- Views -----------------------------------------------------------------------------------------------------------

  public func brief(creation : Creation) : T.CreationStatusResponse {
    { status = creation.status; canister_id = creation.canisterId; message = statusMessage(creation) };
  };

  public func detailed(context : Context, creation : Creation) : T.DetailedCreationStatus {
    {
      owner = creation.owner;
      status = creation.status;
      canister_id = creation.canisterId;
      config = creation.config;
      created_at = creation.createdAt;
      updated_at = creation.updatedAt;
      completed_at = creation.completedAt;
      attempts = creation.attempts;
      cycles_consumed = creation.cyclesConsumed;
      error = creation.error;
      progress = creation.progress;
      progress_message = creation.progressMessage;
      source_manifest = creation.sourceManifest;
      verified = isVerified(context, creation);
      locked_until = lockedUntil(creation, context.now());
    };
  };

  public func openRequest(creation : Creation, now : Nat64) : T.OpenRequest {
    let live = Leases.live(creation.lease, now);
    {
      owner = creation.owner;
      status = creation.status;
      canister_id = creation.canisterId;
      requested_at = creation.requestedAt;
      leased_until = switch live { case (?lease) ?lease.expiresAt; case null null };
      worker = switch live { case (?lease) ?lease.worker; case null null };
    };
  };

  /// Only a completed creation has a personal canister to send clients to.
  public func personalCanister(context : Context, owner : Principal) : ?Principal {
    let ?creation = Creations.get(context.creations, owner) else return null;
    if (creation.status == #Completed) creation.canisterId else null;
  };

  public func stats(context : Context) : T.CreationStats {
    {
      total_attempts = context.switches.attempts;
      total_successes = context.switches.successes;
      total_failures = context.switches.failures;
      total_cycles_consumed = context.reserve.totalConsumed;
    };
  };

  // ---- Write guard -----------------------------------------------------------------------------------------------------

  /// Why the capsule takes no writes now, or null. Reads stay allowed in any case.
  public func writeBarrier(context : Context, capsuleId : Text) : ?Types.CapsuleError {
    let ?creation = Creations.ofCapsule(context.creations, capsuleId) else return null;
    switch (creation.status, creation.canisterId) {
      case (#Completed, ?personal_canister) return ?#Moved { personal_canister };
      case _ {};
    };
    switch (lockedUntil(creation, context.now())) {
      case null null;
      case until ?#Locked { reason = "The capsule is being moved to its owner's personal canister; try again shortly."; until };
    };
  };

  /// A write lock lives as long as its lease; after a verification at least until the seal ends.
  public func lockedUntil(creation : Creation, now : Nat64) : ?Nat64 {
    if (not Creations.isOpen(creation)) return null;
    let leased = switch (Leases.live(creation.lease, now)) {
      case (?lease) if (lease.locksWrites) lease.expiresAt else 0 : Nat64;
      case null 0 : Nat64;
    };
    let until = Nat64.max(leased, creation.sealedUntil);
    if (until > now) ?until else null;
  };

  // ---- Operator --------------------------------------------------------------------------------------------------------

  public func claim(context : Context, operator : Principal, request : T.ClaimRequest) : T.Result<T.CreationLease> {
    let creation = switch (open(context, request.owner)) { case (#Ok some) some; case (#Err error) return #Err error };
    switch (Leases.claim(context.leases, creation.lease, operator, request, context.now())) {
      case (#Err error) #Err(located(creation, error));
      case (#Ok lease) {
        creation.lease := ?lease;
        #Ok { lease = lease.number; expires_at = lease.expiresAt; creation = detailed(context, creation) };
      };
    };
  };

  /// The open creation that the caller's live lease is for.
  public func leased(context : Context, caller : Principal, lease : T.LeaseRef) : T.Result<Creation> {
    let creation = switch (open(context, lease.owner)) { case (#Ok some) some; case (#Err error) return #Err error };
    switch (Leases.require(creation.lease, caller, lease.lease, context.now())) {
      case (#Ok _) #Ok creation;
      case (#Err error) #Err(located(creation, error));
    };
  };

  func open(context : Context, owner : Principal) : T.Result<Creation> {
    let ?creation = Creations.get(context.creations, owner) else {
      return #Err(Errors.invalid(Principal.toText(owner) # " has not asked for a personal canister."));
    };
    if (not Creations.isOpen(creation)) {
      return #Err(refused(creation, "The creation of " # Principal.toText(owner) # " is not in progress."));
    };
    #Ok creation;
  };

  public func releaseLease(creation : Creation) { creation.lease := null };

  /// Records the source manifest; with `lock`, writes are refused from now on until the lease ends.
  public func beginExport(context : Context, creation : Creation, manifest : Types.CapsuleManifest, lock : Bool) {
    if (creation.status == #NotStarted) {
      move(context, creation, #Exporting);
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
    context : Context,
    creation : Creation,
    progress : T.CreationProgress,
    message : Text,
  ) : T.CreationResult {
    if (progress.stage != creation.status) {
      let forward = Creations.rank(progress.stage) > Creations.rank(creation.status);
      switch (progress.stage) {
        case (#Installing or #Importing or #Verifying) {
          if (not forward) return #Err(refused(creation, "A creation does not go back to " # Errors.statusText(progress.stage) # "."));
          if (creation.canisterId == null or Creations.rank(creation.status) < Creations.rank(#Creating)) {
            return #Err(refused(creation, "There is no canister for this attempt yet; call provision_canister first."));
          };
        };
        case stage return #Err(refused(creation, "report_progress cannot set the stage " # Errors.statusText(stage) # "."));
      };
      move(context, creation, progress.stage);
    };
    creation.progress := progress;
    creation.progressMessage := shortened(message);
    creation.updatedAt := context.now();
    #Ok;
  };

  public type Provisioning = { #Existing : Principal; #Debited : { cycles : Nat; entry : Nat64 } };

  /// Everything that must be on record before cycles leave for a new canister; or the canister that is there already.
  public func beginProvisioning(context : Context, creation : Creation) : T.Result<Provisioning> {
    let ?manifest = creation.sourceManifest else {
      return #Err(refused(creation, "There is no source manifest yet; call begin_export first."));
    };
    if (creation.status == #NotStarted) return #Err(refused(creation, "This attempt has not begun; call begin_export first."));
    let starts = creation.status == #Exporting;
    switch (creation.canisterId) {
      case (?canisterId) {
        if starts {
          move(context, creation, #Creating);
          creation.progressMessage := "Going on with the canister that is there already.";
        };
        return #Ok(#Existing canisterId);
      };
      case null {};
    };
    let cycles = Reserve.needed(context.reserve, manifest.content_size);
    switch (Reserve.preflight(context.reserve, context.balance(), cycles, creation.cyclesHeld)) {
      case (?error) {
        let told = located(creation, error);
        Alerts.logError(context.alerts, creation.owner, told, context.now());
        watchReserve(context);
        return #Err told;
      };
      case null {};
    };
    if starts move(context, creation, #Creating);
    creation.progressMessage := "Creating the canister.";
    hold(context, creation, 0);
    creation.cyclesConsumed += cycles;
    let entry = Reserve.debit(context.reserve, creation.owner, cycles, context.now());
    #Ok(#Debited { cycles; entry });
  };

  /// First thing after `create_canister` has answered: from here on the canister can't be lost.
  public func provisioned(
    context : Context,
    creation : Creation,
    debit : { cycles : Nat; entry : Nat64 },
    canisterId : Principal,
    refunded : Nat,
  ) {
    creation.canisterId := ?canisterId;
    settle(context, creation, debit, ?canisterId, refunded);
    Registry.add(
      context.registry,
      {
        canister_id = canisterId;
        created_by = creation.owner;
        created_at = context.now();
        status = creation.status;
        cycles_consumed = creation.cyclesConsumed;
      },
    );
    creation.updatedAt := context.now();
    creation.progressMessage := "The canister is there.";
    watchReserve(context);
  };

  /// `create_canister` was rejected: the cycles are back, and the creation may provision again.
  public func provisioningRejected(
    context : Context,
    creation : Creation,
    debit : { cycles : Nat; entry : Nat64 },
    refunded : Nat,
    reason : Text,
  ) : T.CreationError {
    settle(context, creation, debit, null, refunded);
    hold(context, creation, debit.cycles);
    let error = located(creation, Errors.make(#CreateFailed, shortened("The canister could not be created: " # reason), true));
    creation.error := ?error;
    creation.progressMessage := error.message;
    Alerts.logError(context.alerts, creation.owner, error, context.now());
    watchReserve(context);
    error;
  };

  func settle(
    context : Context,
    creation : Creation,
    debit : { cycles : Nat; entry : Nat64 },
    canisterId : ?Principal,
    refunded : Nat,
  ) {
    let back = Nat.min(refunded, debit.cycles);
    creation.cyclesConsumed := Nat.max(creation.cyclesConsumed, back) - back;
    Reserve.settle(context.reserve, debit.entry, canisterId, back);
  };

  // ---- Verification and end --------------------------------------------------------------------------------------------

  /// The canister to verify; the target's answer counts only under a write lock.
  public func beginVerification(context : Context, creation : Creation) : T.Result<Principal> {
    let canisterId = switch (creation.canisterId, creation.status) {
      case (?some, #Importing or #Verifying) some;
      case _ return #Err(refused(creation, "Nothing to verify yet: the import comes first."));
    };
    let ?lease = creation.lease else return #Err(Errors.busy("The lease is lost."));
    if (not lease.locksWrites) {
      return #Err(refused(creation, "Verification needs the write lock; call begin_export with lock = true first."));
    };
    if (creation.status != #Verifying) move(context, creation, #Verifying);
    #Ok canisterId;
  };

  public func recordVerification(context : Context, creation : Creation, report : T.VerificationReport) {
    let now = context.now();
    creation.updatedAt := now;
    if (report.matches) {
      creation.verifiedRevision := ?report.source.revision;
      creation.sourceManifest := ?report.source;
      creation.sealedUntil := now + Policy.HANDOFF_NS;
      creation.progressMessage := "Verified; handing the canister over.";
    } else {
      unverify(creation);
      creation.progressMessage := "The personal canister differs from the capsule.";
    };
  };

  public func isVerified(context : Context, creation : Creation) : Bool {
    let ?revision = creation.verifiedRevision else return false;
    let ?capsule = Store.selfCapsule(context.store, creation.owner) else return false;
    creation.status == #Completed or capsule.revision == revision;
  };

  /// The canister to complete, when it's verified as the capsule is now.
  public func beginCompletion(context : Context, creation : Creation) : T.Result<Principal> {
    let canisterId = switch (creation.canisterId, creation.status) {
      case (?some, #Verifying) some;
      case _ return #Err(refused(creation, "Only a creation at stage Verifying can be completed."));
    };
    if (isVerified(context, creation)) return #Ok canisterId;
    #Err(located(
      creation,
      Errors.make(
        #VerifyFailed,
        switch (creation.verifiedRevision) {
          case null "The personal canister has not been verified; call verify_creation first.";
          case (?_) {
            "The capsule changed after its verification: copy the changes and verify again. If the owner alone controls "
            # "the canister already, the owner must add the operator as a controller for that.";
          };
        },
        true,
      ),
    ));
  };

  public func complete(context : Context, creation : Creation) {
    let now = context.now();
    move(context, creation, #Completed);
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
    hold(context, creation, 0);
    setRegistryStatus(context, creation);
    context.switches.successes += 1;
    watchReserve(context);
  };

  /// The capsule stays as it is, and so does the canister, for a retry or for clean-up.
  public func fail(context : Context, creation : Creation, error : T.CreationError) {
    let told = located(creation, { error with message = shortened(error.message) });
    move(context, creation, #Failed);
    creation.error := ?told;
    creation.progressMessage := told.message;
    creation.lease := null;
    unverify(creation);
    hold(context, creation, 0);
    context.switches.failures += 1;
    Alerts.creationFailed(context.alerts, creation.owner, told, context.now());
    watchReserve(context);
  };

  /// Forgets a creation that has ended, so that its owner may begin anew; the registry keeps its canister. Clearing a
  /// completed one makes the shared capsule writable again.
  public func clear(context : Context, owner : Principal) : T.CreationResult {
    let ?creation = Creations.get(context.creations, owner) else {
      return #Err(Errors.invalid(Principal.toText(owner) # " has no creation to clear."));
    };
    if (Creations.isOpen(creation)) {
      return #Err(refused(creation, "The creation is in progress; an operator must fail it before it can be cleared."));
    };
    Creations.remove(context.creations, creation);
    #Ok;
  };

  // ---- Shared ----------------------------------------------------------------------------------------------------------

  /// An illegal step for the creation's present stage.
  public func refused(creation : Creation, message : Text) : T.CreationError {
    located(creation, Errors.invalid(message # " The creation is at " # Errors.statusText(creation.status) # "."));
  };

  /// The error with the creation's stage and canister, where it doesn't name its own.
  public func located(creation : Creation, error : T.CreationError) : T.CreationError {
    {
      error with
      stage = switch (error.stage) { case null ?creation.status; case some some };
      canister_id = switch (error.canister_id) { case null creation.canisterId; case some some };
    };
  };

  public func watchReserve(context : Context) {
    Alerts.watchReserve(context.alerts, Reserve.status(context.reserve, context.balance()), context.now());
  };

  func move(context : Context, creation : Creation, status : T.CreationStatus) {
    Creations.move(context.creations, creation, status, context.now());
    setRegistryStatus(context, creation);
  };

  func setRegistryStatus(context : Context, creation : Creation) {
    switch (creation.canisterId) {
      case (?canisterId) Registry.setStatus(context.registry, canisterId, creation.status);
      case null {};
    };
  };

  func hold(context : Context, creation : Creation, cycles : Nat) {
    Reserve.hold(context.reserve, creation.cyclesHeld, cycles);
    creation.cyclesHeld := cycles;
  };

  func unverify(creation : Creation) {
    creation.verifiedRevision := null;
    creation.sealedUntil := 0;
  };

  func shortened(text : Text) : Text {
    if (Text.size(text) <= MAX_MESSAGE_CHARS) return text;
    var kept = "";
    var count = 0;
    for (c in text.chars()) {
      if (count == MAX_MESSAGE_CHARS) return kept # "…";
      kept #= Text.fromChar(c);
      count += 1;
    };
    kept;
  };
};
