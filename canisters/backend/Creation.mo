/// One creation as the modules around it see it: what it touches, how it's shown, when it bars writes, and the small
/// changes that every transition shares. The transitions are in `CreationRequest`, `CreationSteps` and `CreationEnd`.
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Option "mo:core/Option";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Text "mo:core/Text";
import Timer "mo:core/Timer";
import Capsule "../capsule/Types";
import CapsuleLimits "../capsule/Limits";
import Dates "../capsule/Dates";
import Store "../capsule/Store";
import Admission "Admission";
import Alerts "Alerts";
import CanisterOperations "CanisterOperations";
import Creations "Creations";
import Deposits "Deposits";
import Errors "Errors";
import Expiry "Expiry";
import Funding "Funding";
import Hosting "Hosting";
import Leases "Leases";
import Loads "Loads";
import Receipts "Receipts";
import Registry "Registry";
import Releases "Releases";
import Reserve "Reserve";
import Roles "Roles";
import Types "Types";

module {
  public type Creation = Creations.Creation;

  public type Switch = {
    var enabled : Bool;
    var attempts : Nat64;
    var successes : Nat64;
    var failures : Nat64;
    var undone : Nat64;
  };

  /// How many creations there may be, as an admin set it.
  public type Limits = { var present : Types.CreationLimits };

  /// What a creation touches. `now` is in nanoseconds since 1970, `funds` are what the reserve is a part of.
  public type Context = {
    store : Store.Store;
    creations : Creations.State;
    roles : Roles.State;
    admission : Admission.State;
    registry : Registry.State;
    releases : Releases.State;
    reserve : Reserve.State;
    deposits : Deposits.State;
    loads : Loads.State;
    alerts : Alerts.State;
    leases : Leases.Counter;
    switches : Switch;
    limits : Limits;
    calls : CanisterOperations.Calls;
    /// Owners whose `create_canister` is under way.
    provisioning : Set.Set<Principal>;
    /// When the backend is going to look at the canisters of which owners (`Handoff`), and the timer that makes it look.
    looks : { due : Map.Map<Principal, Nat64>; var timer : ?Timer.TimerId };
    /// How many canisters the staff have had looked at since when (`Sight`).
    asked : { var since : Nat64; var count : Nat };
    /// The timer that pays what canisters are owed (`Endowment`), while there is anything.
    payer : { var timer : ?Timer.TimerId };
    /// The timer that erases what moved away (`Erasures`), while there is anything.
    eraser : { var timer : ?Timer.TimerId };
    receipts : Receipts.State;
    /// Owners whose personal canister is being asked about at their wish.
    asking : Set.Set<Principal>;
    /// The backend's own id.
    self : () -> Principal;
    /// Whether the backend had another id, before it was restored.
    hadAnotherId : () -> Bool;
    now : () -> Nat64;
    funds : () -> Reserve.Funds;
    hosting : Hosting.State;
  };

  // ---- Views ----

  /// What an owner sees at a glance.
  public func brief(creation : Creation) : Types.CreationStatusResponse {
    { status = creation.status; canister_id = creation.canisterId; message = statusMessage(creation) };
  };

  /// All that the owner may know.
  public func detailedForOwner(context : Context, creation : Creation) : Types.DetailedCreationStatus {
    {
      detailed(context, creation) with
      error = creation.error.map(Errors.forOwner);
      progress_message = statusMessage(creation);
    };
  };

  /// All that operators and admins may know.
  public func detailed(context : Context, creation : Creation) : Types.DetailedCreationStatus {
    {
      owner = creation.owner;
      status = creation.status;
      canister_id = creation.canisterId;
      operators = creation.operators;
      next_operator = nextOperator(context, creation);
      config = creation.config;
      created_at = creation.createdAt;
      updated_at = creation.updatedAt;
      completed_at = creation.completedAt;
      attempts = creation.attempts;
      cycles_consumed = consumed(context, creation);
      paid_until = creation.paidUntil;
      expires_within_days = Expiry.mark(creation.paidUntil, context.now());
      error = creation.error;
      progress = creation.progress;
      progress_message = creation.progressMessage;
      source_manifest = creation.sourceManifest;
      verified = isVerified(context, creation);
      locked_until = lockedUntil(creation, context.now());
      lost_canisters = creation.lost;
      undone_at = creation.undoneAt;
      move_back_until = if (creation.moveBackUntil > context.now()) ?creation.moveBackUntil else null;
      erasure = erasure(context, creation);
    };
  };

  /// What the creation's canisters have cost, in cycles; not those of an earlier one that was undone.
  func consumed(context : Context, creation : Creation) : Nat {
    var sum = 0;
    for (canisterId in creation.lost.values()) sum += Registry.cost(context.registry, canisterId);
    switch (creation.canisterId) {
      case (?canisterId) sum + Registry.cost(context.registry, canisterId);
      case null sum;
    };
  };

  func erasure(context : Context, creation : Creation) : ?Types.Erasure {
    let ?kept = creation.erasure else return null;
    let left = switch (context.store.capsules.get(creation.capsuleId)) {
      case (?capsule) capsule.memories.size();
      case null 0;
    };
    ?{
      stage = if (kept.erasedAt != null) #Erased else if (kept.begun != null) #Erasing else #Waiting;
      requested_at = kept.requestedAt;
      due_at = kept.dueAt;
      started_at = switch (kept.begun) { case (?{ at }) ?at; case null null };
      erased_at = kept.erasedAt;
      memories_left = Nat64.fromNat(left);
      message = kept.message;
    };
  };

  /// What an operator needs to choose what to claim.
  public func openRequest(creation : Creation, now : Nat64) : Types.OpenRequest {
    let live = Leases.live(creation.lease, now);
    {
      owner = creation.owner;
      status = creation.status;
      canister_id = creation.canisterId;
      operator = Creations.operator(creation);
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

  /// Totals over all creations, also over those that were cleared.
  public func stats(context : Context) : Types.PersonalCanisterCreationStats {
    {
      total_attempts = context.switches.attempts;
      total_successes = context.switches.successes;
      total_failures = context.switches.failures;
      total_undone = context.switches.undone;
      total_cycles_consumed = context.reserve.totalConsumed;
    };
  };

  /// Whether the canister was equal to the capsule as that is now.
  public func isVerified(context : Context, creation : Creation) : Bool {
    let ?revision = creation.verifiedRevision else return false;
    let ?capsule = Store.selfCapsule(context.store, creation.owner) else return false;
    creation.status == #Completed or capsule.revision == revision;
  };

  /// What its owner reads: the error of a creation that failed, else what is being done.
  public func statusMessage(creation : Creation) : Text {
    switch (creation.status, creation.error) {
      case (#Failed, ?error) Errors.forOwner(error).message;
      case _ creation.progressMessage;
    };
  };

  /// What a completed creation says of its canister.
  public func readyMessage(creation : Creation) : Text {
    let ready = "The personal canister is ready and its owner alone controls it.";
    switch (creation.paidUntil) {
      case (?until) ready # " It is paid until " # Dates.isoText(until) # ".";
      case null ready;
    };
  };

  // ---- Write guard ----
  /// Why the capsule takes no writes of the caller's now, or null. Reads stay allowed, unless the contents are erased.
  public func writeBarrier(context : Context, capsuleId : Text, caller : Principal) : ?Capsule.CapsuleError {
    let ?creation = Creations.ofCapsule(context.creations, capsuleId) else return null;
    switch (creation.status, creation.canisterId) {
      case (#Completed, ?personal_canister) {
        if (caller == creation.owner and creation.moveBackUntil > context.now()) return null;
        return ?#Moved { personal_canister };
      };
      case _ {};
    };
    switch (lockedUntil(creation, context.now())) {
      case null null;
      case until ?#Locked {
        reason = "the capsule is being moved to its owner's personal canister; try again shortly";
        until;
      };
    };
  };

  /// Where the capsule's contents are, if they are being erased here, or were.
  public func erased(context : Context, capsuleId : Text) : ?Capsule.CapsuleError {
    let ?creation = Creations.ofCapsule(context.creations, capsuleId) else return null;
    switch (creation.status, creation.canisterId, creation.erasure) {
      case (#Completed, ?personal_canister, ?erasure) if (erasure.begun != null) ?#Moved { personal_canister } else null;
      case _ null;
    };
  };

  /// The time that the capsule's rules of access go by. While the capsule is elsewhere it stands still here: the owner takes
  /// an event back, or a date, in the personal canister alone.
  public func ruleTime(context : Context, capsuleId : Text) : Nat64 {
    let moved = do ? {
      let creation = Creations.ofCapsule(context.creations, capsuleId)!;
      if (creation.status == #Completed) creation.completedAt! else null!;
    };
    switch moved { case (?at) at; case null context.now() };
  };

  /// Whether the handoff may be under way; then nothing but its outcome decides on the creation.
  public func isSealed(creation : Creation) : Bool = creation.sealedUntil != 0;

  /// A write lock lives no longer than its lease; after a verification as long as the seal, which ends no earlier than
  /// it says.
  public func lockedUntil(creation : Creation, now : Nat64) : ?Nat64 {
    if (creation.status == #Completed) return null;
    let leased = switch (Leases.live(creation.lease, now)) {
      case (?lease) if (Leases.locks(lease)) lease.expiresAt else 0 : Nat64;
      case null 0 : Nat64;
    };
    if (isSealed(creation)) return ?Nat64.max(now + 1, Nat64.max(leased, creation.sealedUntil));
    if (leased > now) ?leased else null;
  };

  /// Who takes the place of the creation's operator, once that is none any more; the owner alone can put it there.
  public func nextOperator(context : Context, creation : Creation) : ?Principal {
    let ?operator = Creations.operator(creation) else return null;
    let isOver = creation.status == #Completed or creation.status == #Undone;
    if (isOver or Roles.isOperator(context.roles, operator)) return null;
    Roles.newestOperator(context.roles);
  };

  /// Whether nothing has ever come of it: no attempt, and no failure that counts against its owner.
  public func isUntried(creation : Creation) : Bool = creation.attempts == 0 and creation.failures == 0;

  // ---- Parts of every transition ----
  /// What a creation of so many bytes takes of the reserve, in cycles: at once, and at its completion.
  public func parts(context : Context, contentBytes : Nat64) : Funding.Parts {
    Funding.parts(context.reserve.settings, context.hosting.settings, Nat64.toNat(contentBytes));
  };

  /// Both parts together.
  public func needed(context : Context, contentBytes : Nat64) : Nat {
    let { first; rest } = parts(context, contentBytes);
    first + rest;
  };

  /// Why nothing begins or goes on that uses cycles of the reserve, or null.
  public func stopped(context : Context) : ?Types.CreationError {
    if (context.switches.enabled) return null;
    ?Errors.make(
      #Disabled,
      "The creation of personal canisters is disabled at present. What is in progress goes on when an admin enables it again.",
      true,
    );
  };

  /// Why nobody can end the creation at this moment, or null.
  public func busy(context : Context, creation : Creation) : ?Types.CreationError {
    if (context.provisioning.contains(creation.owner)) {
      return ?located(
        creation,
        Errors.busy("The canister is being created at this moment; try again when that has ended."),
      );
    };
    null;
  };

  /// The handoff may be under way: nothing else is decided on before the look at the canister.
  public func unsettled(creation : Creation) : Types.CreationError {
    located(creation, Errors.busy("It isn't settled yet whether the canister was handed over."));
  };

  /// An illegal step for the creation's present stage.
  public func refused(creation : Creation, message : Text) : Types.CreationError {
    located(creation, Errors.invalid(message # " The creation is at " # Errors.statusText(creation.status) # "."));
  };

  /// The error with the creation's stage and canister, where it doesn't name its own.
  public func located(creation : Creation, error : Types.CreationError) : Types.CreationError {
    {
      error with
      stage = switch (error.stage) { case null ?creation.status; case some some };
      canister_id = switch (error.canister_id) { case null creation.canisterId; case some some };
    };
  };

  /// Counts deposits, and notifies the admins when the level of the reserve changed.
  public func watchReserve(context : Context) {
    let funds = context.funds();
    Reserve.countDeposits(context.reserve, context.deposits, funds.balance, context.calls.underWay);
    let now = context.now();
    Alerts.watchReserve(context.alerts, Reserve.status(context.reserve, context.deposits, funds, now), now);
  };

  /// To another status, with its entry in the registry.
  public func move(context : Context, creation : Creation, status : Types.CreationStatus) {
    Creations.move(context.creations, creation, status, context.now());
    setRegistryStatus(context, creation);
  };

  /// Lets the registry follow the creation's status.
  public func setRegistryStatus(context : Context, creation : Creation) {
    switch (creation.canisterId) {
      case (?canisterId) Registry.setStatus(context.registry, canisterId, creation.status);
      case null {};
    };
  };

  /// Until when a canister that is its owner's takes updates: of its entry, and of the creation that made it.
  public func setPaidUntil(context : Context, canisterId : Principal, until : ?Nat64) {
    Registry.setPaidUntil(context.registry, canisterId, until);
    let ?{ created_by } = Registry.get(context.registry, canisterId) else return;
    let ?creation = Creations.get(context.creations, created_by) else return;
    if (creation.canisterId == ?canisterId and creation.status == #Completed) creation.paidUntil := until;
  };

  /// The network has no such canister any more, or nothing in it: it isn't counted as living, and nobody is warned of it.
  public func deleted(context : Context, canisterId : Principal) {
    setPaidUntil(context, canisterId, null);
    Registry.setDeleted(context.registry, canisterId, context.now());
  };

  /// How many cycles of the reserve the creation holds from now on.
  public func hold(context : Context, creation : Creation, cycles : Nat) {
    Reserve.hold(context.reserve, creation.cyclesHeld, cycles);
    creation.cyclesHeld := cycles;
  };

  /// At most 1,000 characters of a text that came from outside.
  public func shortened(text : Text) : Text {
    if (text.size() <= CapsuleLimits.messageChars) return text;
    var kept = "";
    var count = 0;
    for (c in text.chars()) {
      if (count == CapsuleLimits.messageChars) return kept # "…";
      kept #= Text.fromChar(c);
      count += 1;
    };
    kept;
  };
};
