/// The calls to other canisters: the management canister (create, canister_info, raw_rand) and a personal canister's manifest.
/// Owns their interfaces and how a rejected call reads; what is recorded before and after a call is the caller's.
import Cycles "mo:core/Cycles";
import Error "mo:core/Error";
import Principal "mo:core/Principal";
import Capsule "../capsule/Types";
import Randomness "../capsule/Randomness";
import Types "Types";

module {
  public type Created = {
    #Created : { canisterId : Principal; refunded : Nat };
    #Rejected : { reason : Text; refunded : Nat };
  };
  public type Facts = { controllers : [Principal]; moduleHash : ?Blob };
  /// `Gone`: there is no such canister any more.
  public type Info = { #Info : Facts; #Gone; #Rejected : Text };
  /// Calls that have no answer yet; each of the functions below counts its own. One whose callback traps stays counted
  /// until the next upgrade, which makes estimates that go by the number more careful.
  public type Calls = { var underWay : Nat };
  public type TargetManifest = { #Manifest : Capsule.CapsuleManifest; #Rejected : Text };

  // IC interface specification, "IC management canister". What isn't used here is left out, but for the changes of a
  // canister: a reply may have types of twice the length of those that are expected (`CandidLimits`), and theirs are long.
  type Change = {
    timestamp_nanos : Nat64;
    canister_version : Nat64;
    origin : {
      #from_user : { user_id : Principal };
      #from_canister : { canister_id : Principal; canister_version : ?Nat64 };
    };
    details : {
      #creation : { controllers : [Principal]; environment_variables_hash : ?Blob };
      #code_deployment : { mode : { #install; #reinstall; #upgrade }; module_hash : Blob };
      #code_uninstall;
      #controllers_change : { controllers : [Principal] };
      #load_snapshot : {
        snapshot_id : Blob;
        from_canister_id : ?Principal;
        canister_version : Nat64;
        taken_at_timestamp : Nat64;
        source : { #taken_from_canister; #metadata_upload };
      };
      #rename_canister : {
        canister_id : Principal;
        total_num_changes : Nat64;
        rename_to : { canister_id : Principal; version : Nat64; total_num_changes : Nat64 };
        requested_by : Principal;
      };
    };
  };
  type Settings = { controllers : ?[Principal]; freezing_threshold : ?Nat; wasm_memory_limit : ?Nat };
  type Management = actor {
    create_canister : shared { settings : ?Settings } -> async { canister_id : Principal };
    canister_info : shared { canister_id : Principal; num_requested_changes : ?Nat64 } -> async {
      controllers : [Principal];
      module_hash : ?Blob;
      recent_changes : ?[Change];
    };
  };
  type Target = actor {
    get_manifest : shared query () -> async Capsule.Result<{ manifest : Capsule.CapsuleManifest }>;
  };

  func management() : Management = actor "aaaaa-aa";

  /// The controllers of a new canister: exactly these two (one, where the owner operates the factory as well).
  public func firstControllers(operator : Principal, owner : Principal) : [Principal] {
    if (operator == owner) [owner] else [operator, owner];
  };

  /// Creates an empty canister with `cycles` attached. The calls of this system wait without a deadline, so the outcome
  /// is always known: created, or rejected. A rejected call brings all its cycles back, since the management canister
  /// accepts them only for a canister that it creates (Motoko itself tells refunds of replies only).
  public func create(
    calls : Calls,
    controllers : [Principal],
    settings : Types.PersonalCanisterSettings,
    cycles : Nat,
  ) : async* Created {
    let { freezing_threshold; wasm_memory_limit } = settings;
    let all = {
      controllers = ?controllers;
      freezing_threshold = ?freezing_threshold;
      wasm_memory_limit = ?wasm_memory_limit;
    };
    calls.underWay += 1;
    let answer = try {
      let reply = await (with cycles) management().create_canister({ settings = ?all });
      #Created { canisterId = reply.canister_id; refunded = Cycles.refunded() };
    } catch error #Rejected { reason = Error.message(error); refunded = cycles };
    calls.underWay -= 1;
    answer;
  };

  /// Asks who controls the canister and which module it runs.
  public func info(calls : Calls, canisterId : Principal) : async* Info {
    calls.underWay += 1;
    let answer = try {
      let reply = await management().canister_info({ canister_id = canisterId; num_requested_changes = null });
      #Info { controllers = reply.controllers; moduleHash = reply.module_hash };
    } catch error {
      switch (Error.code(error)) { case (#destination_invalid) #Gone; case _ #Rejected(Error.message(error)) };
    };
    calls.underWay -= 1;
    answer;
  };

  /// Random bytes of the management canister.
  public func randomness(calls : Calls) : async* Capsule.Result<Blob> {
    calls.underWay += 1;
    let answer = await* Randomness.draw();
    calls.underWay -= 1;
    answer;
  };

  /// Asks a personal canister for its manifest; its refusal is a rejection as well.
  public func manifest(calls : Calls, canisterId : Principal) : async* TargetManifest {
    let target : Target = actor (canisterId.toText());
    calls.underWay += 1;
    let answer = try {
      switch (await target.get_manifest()) {
        case (#Ok { manifest }) #Manifest manifest;
        case (#Err error) #Rejected(debug_show error);
      };
    } catch error #Rejected(Error.message(error));
    calls.underWay -= 1;
    answer;
  };
};
