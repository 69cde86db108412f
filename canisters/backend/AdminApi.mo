/// Endpoints that oversee creations: states, registry, the switch, limits, releases, reserve, alerts. Changes are for
/// admins; operators may read. Balances are shown to nobody else.
import Array "mo:core/Array";
import Cycles "mo:core/Cycles";
import Principal "mo:core/Principal";
import Alerts "Alerts";
import AuditLog "AuditLog";
import BoundedLog "BoundedLog";
import Creation "Creation";
import CreationEnd "CreationEnd";
import CreationPolicy "CreationPolicy";
import Creations "Creations";
import Endowment "Endowment";
import Errors "Errors";
import Hosting "Hosting";
import Registry "Registry";
import Releases "Releases";
import Reserve "Reserve";
import Roles "Roles";
import Types "Types";
import Verification "Verification";

mixin (context : Creation.Context, roles : Roles.State) {
  func forStaff<A>(caller : Principal, answer : () -> A) : Types.Result<A> {
    switch (Roles.requireStaff(roles, caller)) { case (?error) #Err error; case null #Ok(answer()) };
  };

  func byAdmin(
    caller : Principal,
    method : Text,
    what : () -> Text,
    change : () -> Types.CreationResult,
  ) : Types.CreationResult {
    Roles.change(roles, caller, { method; what }, context.now(), change);
  };

  func details(creations : [Creation.Creation]) : [Types.DetailedCreationStatus] {
    creations.map(func creation = Creation.detailed(context, creation));
  };

  // ---- Creations and registry ----
  public shared query ({ caller }) func get_user_creation_status(
    owner : Principal
  ) : async Types.Result<?Types.DetailedCreationStatus> {
    forStaff<?Types.DetailedCreationStatus>(
      caller,
      func() = switch (Creations.get(context.creations, owner)) {
        case (?creation) ?Creation.detailed(context, creation);
        case null null;
      },
    );
  };

  public shared query ({ caller }) func list_all_creation_states(
    request : Types.OwnerPageRequest
  ) : async Types.Result<Types.CreationPage> {
    forStaff<Types.CreationPage>(
      caller,
      func() {
        let page = Creations.all(context.creations, request);
        { page with items = details(page.items) };
      },
    );
  };

  public shared query ({ caller }) func get_creation_states_by_status(
    status : Types.CreationStatus,
    request : Types.OwnerPageRequest,
  ) : async Types.Result<Types.CreationPage> {
    forStaff<Types.CreationPage>(
      caller,
      func() {
        let page = Creations.withStatus(context.creations, status, request);
        { page with items = details(page.items) };
      },
    );
  };

  public shared ({ caller }) func abort_creation(
    owner : Principal,
    reason : Text,
  ) : async Types.Result<Types.DetailedCreationStatus> {
    switch (Roles.requireAdmin(roles, caller)) { case null {}; case (?problem) return #Err problem };
    switch (Roles.requireOpen(roles)) { case null {}; case (?problem) return #Err problem };
    let ?creation = Creations.get(context.creations, owner) else {
      return #Err(Errors.invalid(owner.toText() # " has no creation to abort."));
    };
    let answer = CreationEnd.cancel(context, creation, "An admin aborted the creation: " # reason);
    let act = { method = "abort_creation"; what = func() : Text = owner.toText() # ", " # debug_show reason };
    switch answer { case (#Ok _) AuditLog.note(roles.acts, caller, act, context.now()); case (#Err _) {} };
    answer;
  };

  public shared ({ caller }) func clear_creation_state(owner : Principal) : async Types.CreationResult {
    byAdmin(caller, "clear_creation_state", func() = owner.toText(), func() = CreationEnd.clear(context, owner));
  };

  public shared ({ caller }) func pay_rest(owner : Principal) : async Types.CreationResult {
    switch (Roles.requireAdmin(roles, caller)) { case null {}; case (?problem) return #Err problem };
    await* Endowment.lookAgain(context, owner);
    let answer = byAdmin(caller, "pay_rest", func() = owner.toText(), func() = Endowment.release(context, owner));
    switch (answer, Creations.get(context.creations, owner)) {
      case (#Ok, ?creation) await* Endowment.pay<system>(context, creation);
      case _ {};
    };
    answer;
  };

  public shared query ({ caller }) func list_registry(
    request : Types.OwnerPageRequest
  ) : async Types.Result<Types.RegistryPage> {
    forStaff<Types.RegistryPage>(caller, func() = Registry.page(context.registry, request));
  };

  public shared query ({ caller }) func get_registry_entry(
    canister_id : Principal
  ) : async Types.Result<?Types.PersonalCanisterRecord> {
    forStaff<?Types.PersonalCanisterRecord>(caller, func() = Registry.get(context.registry, canister_id));
  };

  // ---- Switch and totals ----
  func setEnabled(caller : Principal, method : Text, enabled : Bool) : Types.CreationResult {
    byAdmin(caller, method, func() = debug_show enabled, func() { context.switches.enabled := enabled; #Ok });
  };

  func statsFor(caller : Principal) : Types.Result<Types.PersonalCanisterCreationStats> {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null #Ok(Creation.stats(context)) };
  };

  /// Switched off, nothing uses cycles of the reserve: requests, approvals, claims and renewals of leases, new canisters and
  /// start-overs are refused. What is in progress stays as it is, and goes on when it is switched on again; what is at its
  /// end already, verified or handed over, ends.
  public shared ({ caller }) func set_personal_canister_creation_enabled(enabled : Bool) : async Types.CreationResult {
    setEnabled(caller, "set_personal_canister_creation_enabled", enabled);
  };

  public shared query ({ caller }) func get_personal_canister_creation_stats(
    
  ) : async Types.Result<Types.PersonalCanisterCreationStats> {
    statsFor(caller);
  };

  // ---- Limits ----
  public shared query ({ caller }) func get_creation_limits() : async Types.Result<Types.CreationLimits> {
    forStaff<Types.CreationLimits>(caller, func() = context.limits.present);
  };

  func setLimits(limits : Types.CreationLimits) : Types.CreationResult {
    switch (CreationPolicy.checkLimits(limits)) { case null {}; case (?problem) return #Err problem };
    context.limits.present := limits;
    #Ok;
  };

  /// What is in progress goes on, also when it's more than a new limit.
  public shared ({ caller }) func set_creation_limits(limits : Types.CreationLimits) : async Types.CreationResult {
    byAdmin(caller, "set_creation_limits", func() = debug_show limits, func() = setLimits(limits));
  };

  // ---- What new personal canisters are set to ----
  public shared query ({ caller }) func get_personal_canister_settings(
    
  ) : async Types.Result<Types.PersonalCanisterSettings> {
    forStaff<Types.PersonalCanisterSettings>(caller, func() = context.hosting.settings);
  };

  func setPersonalCanisterSettings(settings : Types.PersonalCanisterSettings) : Types.CreationResult {
    switch (Hosting.check(settings, context.reserve.settings)) {
      case (?problem) #Err problem;
      case null { context.hosting.settings := settings; #Ok };
    };
  };

  /// Canisters that are there keep theirs. The backend reckons with the same freezing threshold for itself.
  public shared ({ caller }) func set_personal_canister_settings(
    settings : Types.PersonalCanisterSettings
  ) : async Types.CreationResult {
    let change = func() : Types.CreationResult = setPersonalCanisterSettings(settings);
    byAdmin(caller, "set_personal_canister_settings", func() = debug_show settings, change);
  };

  // ---- Releases ----
  public shared ({ caller }) func register_release(release : Types.NewRelease) : async Types.CreationResult {
    // A deployment registers its release before it funds the reserve: a look at the balance now, when the installation
    // is over, lets the first deposit count whole. Nobody is warned of a reserve that is about to be funded.
    Reserve.countDeposits(context.reserve, context.deposits, context.funds().balance, context.calls.underWay);
    let change = func() : Types.CreationResult = Releases.register(context.releases, release, context.now());
    let { api_version; note } = release;
    let what = func() : Text = Verification.hex(release.module_hash) # " " # debug_show ({ api_version; note });
    byAdmin(caller, "register_release", what, change);
  };

  public shared ({ caller }) func revoke_release(module_hash : Blob) : async Types.CreationResult {
    let change = func() : Types.CreationResult = Releases.revoke(context.releases, module_hash);
    byAdmin(caller, "revoke_release", func() = Verification.hex(module_hash), change);
  };

  public shared query func list_releases() : async [Types.Release] { Releases.list(context.releases) };

  // ---- Reserve ----
  public shared query ({ caller }) func get_reserve_status() : async Types.Result<Types.ReserveStatus> {
    forStaff<Types.ReserveStatus>(
      caller,
      func() = Reserve.status(context.reserve, context.deposits, context.funds(), context.now()),
    );
  };

  func reconfigure(settings : Types.ReserveSettings) : Types.CreationResult {
    let result = Reserve.configure(context.reserve, settings, context.hosting.settings);
    Creation.watchReserve(context);
    result;
  };

  public shared ({ caller }) func set_reserve_settings(settings : Types.ReserveSettings) : async Types.CreationResult {
    byAdmin(caller, "set_reserve_settings", func() = debug_show settings, func() = reconfigure(settings));
  };

  public shared ({ caller }) func set_reserve_threshold(threshold : Nat) : async Types.CreationResult {
    let change = func() : Types.CreationResult = reconfigure({ context.reserve.settings with threshold });
    byAdmin(caller, "set_reserve_threshold", func() = debug_show threshold, change);
  };

  /// Cycles arrive with a call of a canister (a wallet that is an admin); cycles deposited by any other way count as
  /// well, since the reserve derives from the real balance.
  public shared ({ caller }) func top_up_reserve() : async Types.Result<Nat> {
    switch (Roles.requireAdmin(roles, caller)) { case null {}; case (?problem) return #Err problem };
    switch (Roles.requireOpen(roles)) { case null {}; case (?problem) return #Err problem };
    let accepted = Cycles.accept<system>(Cycles.available());
    if (accepted == 0) return #Err(Errors.invalid("No cycles came with this call; attach the amount to add."));
    Reserve.accepted(context.reserve, context.deposits, accepted);
    Creation.watchReserve(context);
    AuditLog.note(roles.acts, caller, { method = "top_up_reserve"; what = func() : Text = debug_show accepted }, context.now());
    #Ok accepted;
  };

  /// What a canister that was created here gives back of its cycles, before it is deleted for example.
  public shared ({ caller }) func return_cycles() : async Types.Result<Nat> {
    if (Registry.get(context.registry, caller) == null) {
      return #Err(Errors.unauthorized(caller, "a canister that was created here"));
    };
    switch (Roles.requireOpen(roles)) { case null {}; case (?problem) return #Err problem };
    let returned = Cycles.accept<system>(Cycles.available());
    if (returned == 0) return #Err(Errors.invalid("No cycles came with this call; attach the amount to return."));
    let booked = Reserve.takeBack(context.reserve, caller, returned);
    Registry.charge(context.registry, caller, -booked);
    // What it never had from here is a gift like any other.
    if (returned > booked) Reserve.accepted(context.reserve, context.deposits, returned - booked);
    Creation.watchReserve(context);
    #Ok returned;
  };

  // A day, unless the caller says otherwise.
  func windowOf(asked : ?Nat64) : Nat64 = switch asked { case (?window) window; case null Reserve.defaultWindowNs };

  public shared query ({ caller }) func get_consumption_report(
    window_ns : ?Nat64
  ) : async Types.Result<Types.ConsumptionReport> {
    forStaff<Types.ConsumptionReport>(
      caller,
      func() = Reserve.report(context.reserve, context.deposits, context.funds(), windowOf(window_ns), context.now()),
    );
  };

  public shared query ({ caller }) func list_consumption(
    request : Types.NumberedPageRequest
  ) : async Types.Result<Types.ConsumptionPage> {
    forStaff<Types.ConsumptionPage>(caller, func() = BoundedLog.page(context.reserve.consumption, request));
  };

  // ---- Alerts ----
  public shared query ({ caller }) func list_notifications(
    request : Types.NumberedPageRequest
  ) : async Types.Result<Types.NotificationPage> {
    forStaff<Types.NotificationPage>(caller, func() = BoundedLog.page(context.alerts.notifications, request));
  };

  public shared ({ caller }) func acknowledge_notification(id : Nat64) : async Types.CreationResult {
    let change = func() : Types.CreationResult = Alerts.acknowledge(context.alerts, id, caller);
    byAdmin(caller, "acknowledge_notification", func() = debug_show id, change);
  };

  public shared query ({ caller }) func list_errors(
    request : Types.NumberedPageRequest
  ) : async Types.Result<Types.ErrorLogPage> {
    forStaff<Types.ErrorLogPage>(caller, func() = BoundedLog.page(context.alerts.errors, request));
  };

  public shared query ({ caller }) func get_error_rate(window_ns : ?Nat64) : async Types.Result<Types.ErrorRate> {
    forStaff<Types.ErrorRate>(caller, func() = Alerts.errorRate(context.alerts, windowOf(window_ns), context.now()));
  };

  // ---- Deprecated names: old clients keep working ----
  public shared ({ caller }) func set_migration_enabled(enabled : Bool) : async Types.CreationResult {
    setEnabled(caller, "set_migration_enabled", enabled);
  };

  public shared query ({ caller }) func get_migration_stats(
    
  ) : async Types.Result<Types.PersonalCanisterCreationStats> {
    statsFor(caller);
  };
};
