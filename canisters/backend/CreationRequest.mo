/// An owner's request for a personal canister: when it starts a creation, when a new attempt, and when it's refused.
import Array "mo:core/Array";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Store "../capsule/Store";
import Admission "Admission";
import Alerts "Alerts";
import Belonging "Belonging";
import Creation "Creation";
import CreationPolicy "CreationPolicy";
import Creations "Creations";
import Errors "Errors";
import Reserve "Reserve";
import Types "Types";

module {
  /// Starts a creation, or a new attempt after a failure, or lets it wait for approval; otherwise answers with what is. A
  /// refusal says all that admins may know.
  public func request(
    context : Creation.Context,
    owner : Principal,
    config : ?Types.CreatePersonalCanisterConfig,
  ) : Types.Result<Types.PersonalCanisterCreationResponse> {
    if (owner.isAnonymous()) return #Err(Errors.unauthorized(owner, "the owner of a capsule"));
    switch (Creation.stopped(context)) { case null {}; case (?problem) return #Err problem };
    let existing = Creations.get(context.creations, owner);
    switch existing {
      case (?creation) {
        if (creation.status != #Failed and creation.status != #Undone and not creation.waits) {
          Belonging.replaceFormer(context, creation);
          return #Ok(response(creation));
        };
        switch (overLosses(creation)) { case (?problem) return #Err problem; case null {} };
      };
      case null {};
    };
    let ?capsule = Store.selfCapsule(context.store, owner) else {
      return #Err(Errors.invalid(owner.toText() # " has no capsule here; call register_capsule first."));
    };
    switch config {
      case (?asked) switch (CreationPolicy.check(asked)) { case null {}; case (?problem) return #Err problem };
      case null {};
    };
    switch existing {
      case (?creation) switch (tooSoon(context, creation)) { case (?problem) return #Err problem; case null {} };
      case null {};
    };
    let isApproved = switch existing { case (?creation) creation.approved; case null false };
    let admitted = switch (Admission.judge(context.admission, owner, isApproved), Creations.waiting(context.creations, owner)) {
      case (#Admitted, _) start(context, owner, capsule, existing, config);
      case (_, ?waiting) #Ok waiting;
      case (#Waits, null) wait(context, owner, capsule.id, existing, config);
      case (#Refused error, null) #Err error;
    };
    switch admitted { case (#Ok creation) #Ok(response(creation)); case (#Err error) #Err error };
  };

  /// Starts what waits for approval, as if its owner had asked now. Where that isn't possible yet it goes on waiting.
  public func approve(context : Creation.Context, owner : Principal) : Types.Result<Creation.Creation> {
    let ?waiting = Creations.waiting(context.creations, owner) else {
      return #Err(Errors.invalid(owner.toText() # " has no request that waits for approval."));
    };
    switch (Creation.stopped(context)) { case null {}; case (?problem) return #Err problem };
    let ?capsule = Store.selfCapsule(context.store, owner) else {
      return #Err(Creation.refused(waiting, "The owner has no self-capsule any more."));
    };
    switch (start(context, owner, capsule, ?waiting, null)) {
      case (#Ok creation) { creation.approved := true; #Ok creation };
      case problem problem;
    };
  };

  /// Puts a new creation, or a new attempt, into the queue; it holds what it needs of the reserve.
  func start(
    context : Creation.Context,
    owner : Principal,
    capsule : Store.Capsule,
    existing : ?Creation.Creation,
    config : ?Types.CreatePersonalCanisterConfig,
  ) : Types.Result<Creation.Creation> {
    switch (overCapacity(context)) { case null {}; case (?problem) return #Err problem };
    let forCanister = switch existing {
      case (?creation) if (creation.canisterId != null and creation.status != #Undone) ?creation.rest else null;
      case null null;
    };
    let needed = switch forCanister {
      case (?rest) rest;
      case null Creation.needed(context, capsule.content_bytes);
    };
    switch (Reserve.preflight(context.reserve, context.funds(), needed, 0)) {
      case (?error) {
        Creation.watchReserve(context);
        Alerts.logRefusal(context.alerts, owner, error, context.now());
        return #Err error;
      };
      case null {};
    };
    let now = context.now();
    let overBudget = if (needed == 0) null else Reserve.overBudget(context.reserve, needed, 0, now);
    switch overBudget {
      case (?error) { Alerts.logRefusal(context.alerts, owner, error, now); return #Err error };
      case null {};
    };
    let creation = enqueue(context, owner, capsule.id, existing, config, false);
    creation.attempts += 1;
    creation.attemptsAt := withinHour(creation, now).concat([now]);
    creation.progressMessage := "Requested; waiting for a worker.";
    Creation.hold(context, creation, needed);
    context.switches.attempts += 1;
    Alerts.logAttempt(context.alerts, now);
    Creation.watchReserve(context);
    #Ok creation;
  };

  /// Puts it to those who wait for approval, where it holds nothing.
  func wait(
    context : Creation.Context,
    owner : Principal,
    capsuleId : Text,
    existing : ?Creation.Creation,
    config : ?Types.CreatePersonalCanisterConfig,
  ) : Types.Result<Creation.Creation> {
    if (Creations.waitingCount(context.creations) >= Admission.mostWaiting) {
      return #Err(Errors.busy(
        Nat.toText(Admission.mostWaiting) # " requests wait for approval, which is the most; try again later, or ask an "
        # "admin to put you on the list of owners."
      ));
    };
    let creation = enqueue(context, owner, capsuleId, existing, config, true);
    creation.progressMessage := "Requested; waits for approval by an admin.";
    #Ok creation;
  };

  func enqueue(
    context : Creation.Context,
    owner : Principal,
    capsuleId : Text,
    existing : ?Creation.Creation,
    config : ?Types.CreatePersonalCanisterConfig,
    waits : Bool,
  ) : Creation.Creation {
    let now = context.now();
    let creation = switch existing {
      case (?creation) {
        Creations.requeue(context.creations, creation, waits, now);
        Belonging.replaceFormer(context, creation);
        creation;
      };
      case null Creations.add(context.creations, owner, capsuleId, waits, now);
    };
    switch config { case (?asked) creation.config := asked; case null {} };
    creation.error := null;
    creation.progress := Creations.noProgress();
    Creation.setRegistryStatus(context, creation);
    creation;
  };

  /// Why no more canisters are made for a creation that loses them, or null.
  func overLosses(creation : Creation.Creation) : ?Types.CreationError {
    if (creation.undone >= CreationPolicy.mostUndone) {
      let message = "The owner has got " # Nat.toText(creation.undone) # " canisters, and undone each creation; "
      # "an admin has to clear it before there is another one (clear_creation_state).";
      return ?Creation.located(creation, Errors.make(#NotAdmitted, message, false));
    };
    if (creation.lost.size() < CreationPolicy.mostLosses) return null;
    ?Creation.located(
      creation,
      Errors.make(
        #HistoryFailed,
        Nat.toText(creation.lost.size()) # " canisters of this creation were lost by what was done to them; "
        # "an admin has to clear the creation before there is another one (clear_creation_state).",
        false,
      ),
    );
  };

  func withinHour(creation : Creation.Creation, now : Nat64) : [Nat64] {
    creation.attemptsAt.filter(func at = at + CreationPolicy.hourNs > now);
  };

  /// Why this owner has to wait, who failed too often or asked too often, or null.
  func tooSoon(context : Creation.Context, creation : Creation.Creation) : ?Types.CreationError {
    if (creation.waits) return null;
    let now = context.now();
    let next = creation.failedAt + CreationPolicy.pauseNs(creation.failures);
    if (next > now) {
      let failures = "The last " # Nat32.toText(creation.failures) # " attempts failed";
      return ?Creation.located(creation, Errors.tooSoon(failures, next, now));
    };
    let recent = withinHour(creation, now);
    let share = CreationPolicy.ownersShare(context.limits.present);
    if (recent.size() < share) return null;
    let message = "There were " # Nat.toText(recent.size()) # " attempts within an hour, and one owner's share of max_per_hour is "
    # Nat.toText(share);
    ?Creation.located(creation, Errors.tooSoon(message, recent[recent.size() - share] + CreationPolicy.hourNs, now));
  };

  func overCapacity(context : Creation.Context) : ?Types.CreationError {
    let { max_in_progress; max_per_hour } = context.limits.present;
    let open = Creations.openCount(context.creations);
    if (open >= Nat32.toNat(max_in_progress)) {
      return ?Errors.busy(
        Nat.toText(open) # " creations are in progress, and the limit is " # Nat32.toText(max_in_progress)
        # " (max_in_progress); try again later."
      );
    };
    if (Alerts.attemptsReach(context.alerts, Nat64.fromNat32(max_per_hour), CreationPolicy.hourNs, context.now())) {
      return ?Errors.busy(
        "The limit of " # Nat32.toText(max_per_hour)
        # " creations requested within an hour (max_per_hour) is reached; try again later."
      );
    };
    null;
  };

  func response(creation : Creation.Creation) : Types.PersonalCanisterCreationResponse {
    { success = true; canister_id = creation.canisterId; message = Creation.statusMessage(creation) };
  };
};
