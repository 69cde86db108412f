/// An owner's request for a personal canister: when it starts a creation, when a new attempt, and when it's refused.
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Store "../capsule/Store";
import Alerts "Alerts";
import Belonging "Belonging";
import Creation "Creation";
import CreationPolicy "CreationPolicy";
import Creations "Creations";
import Errors "Errors";
import Reserve "Reserve";
import Types "Types";

module {
  /// Starts a creation, or a new attempt after a failure; otherwise answers with what is. A refusal says all that admins
  /// may know.
  public func request(
    context : Creation.Context,
    owner : Principal,
    config : ?Types.CreatePersonalCanisterConfig,
  ) : Types.Result<Types.PersonalCanisterCreationResponse> {
    if (owner.isAnonymous()) return #Err(Errors.unauthorized(owner, "the owner of a capsule"));
    if (not context.switches.enabled) {
      return #Err(Errors.make(#Disabled, "The creation of personal canisters is disabled at present.", true));
    };
    let existing = Creations.get(context.creations, owner);
    switch existing {
      case (?creation) if (creation.status != #Failed) {
        Belonging.replaceFormer(context, creation);
        return #Ok(response(creation));
      };
      case null {};
    };
    switch existing {
      case (?creation) switch (overLosses(creation)) { case (?problem) return #Err problem; case null {} };
      case null {};
    };
    let ?capsule = Store.selfCapsule(context.store, owner) else {
      return #Err(Errors.invalid(owner.toText() # " has no capsule here; call register_capsule first."));
    };
    switch config {
      case (?asked) switch (CreationPolicy.check(asked)) { case null {}; case (?problem) return #Err problem };
      case null {};
    };
    switch (overCapacity(context)) { case null {}; case (?problem) return #Err problem };
    let hasCanister = switch existing { case (?creation) creation.canisterId != null; case null false };
    let needed = if hasCanister 0 else Reserve.needed(context.reserve, capsule.content_bytes);
    switch (Reserve.preflight(context.reserve, context.funds(), needed, 0)) {
      case (?error) {
        Creation.watchReserve(context);
        Alerts.logRefusal(context.alerts, owner, error, context.now());
        return #Err error;
      };
      case null {};
    };

    #Ok(response(start(context, owner, capsule.id, existing, config, needed)));
  };

  /// Puts a new creation, or a new attempt of one that failed, into the queue; it holds `needed` cycles of the reserve.
  func start(
    context : Creation.Context,
    owner : Principal,
    capsuleId : Text,
    existing : ?Creation.Creation,
    config : ?Types.CreatePersonalCanisterConfig,
    needed : Nat,
  ) : Creation.Creation {
    let now = context.now();
    let creation = switch existing {
      case (?failed) {
        Creations.requeue(context.creations, failed, now);
        Belonging.replaceFormer(context, failed);
        failed;
      };
      case null Creations.add(context.creations, owner, capsuleId, now);
    };
    switch config { case (?asked) creation.config := asked; case null {} };
    creation.attempts += 1;
    creation.error := null;
    creation.progress := Creations.noProgress();
    creation.progressMessage := "Requested; waiting for a worker.";
    Creation.setRegistryStatus(context, creation);
    Creation.hold(context, creation, needed);
    context.switches.attempts += 1;
    Alerts.logAttempt(context.alerts, now);
    Creation.watchReserve(context);
    creation;
  };

  /// Why no more canisters are made for a creation that loses them, or null.
  func overLosses(creation : Creation.Creation) : ?Types.CreationError {
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
