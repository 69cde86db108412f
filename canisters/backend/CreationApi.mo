/// What an owner calls: ask for a personal canister, see how far it is, find it; and the deprecated names of the same.
import Principal "mo:core/Principal";
import Creation "Creation";
import CreationEnd "CreationEnd";
import CreationRequest "CreationRequest";
import Creations "Creations";
import Errors "Errors";
import Roles "Roles";
import Types "Types";

mixin (context : Creation.Context, roles : Roles.State) {
  /// Those who may see the reserve are told what it has, also where they ask for a canister of their own.
  func request(
    caller : Principal,
    config : ?Types.CreatePersonalCanisterConfig,
  ) : Types.Result<Types.PersonalCanisterCreationResponse> {
    switch (Roles.requireOpen(roles)) { case null {}; case (?problem) return #Err problem };
    switch (CreationRequest.request(context, caller, config)) {
      case (#Err error) #Err(if (Roles.isStaff(roles, caller)) error else Errors.forOwner(error));
      case answer answer;
    };
  };

  func ownCreation<A>(owner : Principal, view : Creation.Creation -> A) : ?A {
    switch (Creations.get(context.creations, owner)) { case (?creation) ?view(creation); case null null };
  };

  public shared ({ caller }) func create_personal_canister(
    config : ?Types.CreatePersonalCanisterConfig
  ) : async Types.Result<Types.PersonalCanisterCreationResponse> {
    request(caller, config);
  };

  public shared ({ caller }) func cancel_personal_canister() : async Types.Result<Types.DetailedCreationStatus> {
    if (caller.isAnonymous()) return #Err(Errors.unauthorized(caller, "the owner of a capsule"));
    switch (Roles.requireOpen(roles)) { case null {}; case (?problem) return #Err problem };
    let ?creation = Creations.get(context.creations, caller) else {
      return #Err(Errors.invalid(caller.toText() # " has not asked for a personal canister."));
    };
    let wasUntried = creation.waits and Creation.isUntried(creation);
    switch (CreationEnd.cancel(context, creation, "The owner cancelled the creation.")) {
      case (#Ok _) {
        let told = Creation.detailedForOwner(context, creation);
        // Or else who makes principals could leave a record with each of them.
        if wasUntried Creations.remove(context.creations, creation);
        #Ok told;
      };
      case refusal refusal;
    };
  };

  public shared query ({ caller }) func get_creation_status() : async ?Types.CreationStatusResponse {
    ownCreation(caller, Creation.brief);
  };

  public shared query ({ caller }) func get_detailed_creation_status() : async ?Types.DetailedCreationStatus {
    ownCreation<Types.DetailedCreationStatus>(caller, func creation = Creation.detailedForOwner(context, creation));
  };

  public shared query func get_personal_canister_id(owner : Principal) : async ?Principal {
    Creation.personalCanister(context, owner);
  };

  public shared query ({ caller }) func get_my_personal_canister_id() : async ?Principal {
    Creation.personalCanister(context, caller);
  };

  public shared query func is_personal_canister_creation_enabled() : async Bool { context.switches.enabled };

  // ---- Deprecated names: old clients keep working ----
  public shared ({ caller }) func migrate_capsule() : async Types.Result<Types.PersonalCanisterCreationResponse> {
    request(caller, null);
  };

  public shared query ({ caller }) func get_migration_status() : async ?Types.CreationStatusResponse {
    ownCreation(caller, Creation.brief);
  };

  public shared query ({ caller }) func get_detailed_migration_status() : async ?Types.DetailedCreationStatus {
    ownCreation<Types.DetailedCreationStatus>(caller, func creation = Creation.detailedForOwner(context, creation));
  };
};
