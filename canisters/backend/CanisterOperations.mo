/// The calls to other canisters: the management canister (create, canister_info, raw_rand) and a personal canister's manifest.
/// Owns their interfaces, how long each is waited for, and how a rejected call reads; what is recorded before and after a
/// call is the caller's.
///
/// While a call has no answer, the backend can be neither stopped nor upgraded. So a canister that somebody else controls
/// is waited for a limited time, and is called only when its module was found good. The management canister is the
/// network's own and always answers; still, what only asks is waited for no longer. `create_canister` is waited for without
/// limit: an unknown outcome would cost its cycles and the new canister's id; `deposit_cycles`, for its cycles. So is `raw_rand`, which is answered in the
/// next round by the backend's own subnet.
import Cycles "mo:core/Cycles";
import Error "mo:core/Error";
import Principal "mo:core/Principal";
import CanisterHistory "../capsule/CanisterHistory";
import Capsule "../capsule/Types";
import Randomness "../capsule/Randomness";
import Types "Types";
import Verification "Verification";

module {
  public type Created = {
    #Created : { canisterId : Principal; refunded : Nat };
    #Rejected : { reason : Text; refunded : Nat };
  };
  /// `Gone`: there is no such canister any more.
  public type Info = { #Info : CanisterHistory.History; #Gone; #Rejected : Text };
  /// Calls that have no answer yet; each of the functions below counts its own, also where the answer ends in a trap.
  public type Calls = { var underWay : Nat };
  public type TargetManifest = { #Manifest : Verification.Held; #Rejected : Text };

  /// Seconds to wait for a canister of somebody else; it answers in two, when all is well.
  let patience : Nat32 = 60;

  // IC interface specification, "IC management canister". What isn't used here is left out.
  type Audience = { #controllers; #public_; #allowed_viewers : [Principal] };
  type Settings = {
    controllers : ?[Principal];
    freezing_threshold : ?Nat;
    wasm_memory_limit : ?Nat;
    status_visibility : ?{ #allowed_viewers : [Principal] };
  };
  type Management = actor {
    create_canister : shared { settings : ?Settings } -> async { canister_id : Principal };
    canister_status : shared { canister_id : Principal } -> async Status;
    deposit_cycles : shared { canister_id : Principal } -> async ();
  };
  /// Whole, since a reply may have a type table of twice the length of the one that is expected (`CandidLimits`).
  type Status = {
    status : { #running; #stopping; #stopped };
    memory_size : Nat;
    cycles : Nat;
    reserved_cycles : Nat;
    idle_cycles_burned_per_day : Nat;
    module_hash : ?Blob;
    memory_metrics : {
      wasm_memory_size : Nat;
      stable_memory_size : Nat;
      global_memory_size : Nat;
      wasm_binary_size : Nat;
      custom_sections_size : Nat;
      canister_history_size : Nat;
      wasm_chunk_store_size : Nat;
      snapshots_size : Nat;
    };
    settings : {
      controllers : [Principal];
      compute_allocation : Nat;
      memory_allocation : Nat;
      freezing_threshold : Nat;
      reserved_cycles_limit : Nat;
      log_visibility : Audience;
      wasm_memory_limit : Nat;
      wasm_memory_threshold : Nat;
      environment_variables : [{ name : Text; value : Text }];
    };
    query_stats : {
      num_calls_total : Nat;
      num_instructions_total : Nat;
      request_payload_bytes_total : Nat;
      response_payload_bytes_total : Nat;
    };
  };
  type Target = actor {
    get_manifest : shared query () -> async Capsule.Result<Verification.Held>;
  };

  func management() : Management = actor "aaaaa-aa";

  /// The controllers of a new canister: exactly these two (one, where the owner operates the factory as well).
  public func firstControllers(operator : Principal, owner : Principal) : [Principal] {
    if (operator == owner) [owner] else [operator, owner];
  };

  /// Creates an empty canister with `cycles` attached. The calls of this system wait without a deadline, so the outcome
  /// is always known: created, or rejected. A rejected call brings all its cycles back, since the management canister
  /// accepts them only for a canister that it creates (Motoko itself tells refunds of replies only).
  ///
  /// `viewer` may see the canister's status, where the network can be told so: one that refuses it is asked once more
  /// without; one that doesn't know it ignores it.
  public func create(
    calls : Calls,
    controllers : [Principal],
    viewer : Principal,
    settings : Types.PersonalCanisterSettings,
    cycles : Nat,
  ) : async* Created {
    let { freezing_threshold; wasm_memory_limit } = settings;
    let all = {
      controllers = ?controllers;
      freezing_threshold = ?freezing_threshold;
      wasm_memory_limit = ?wasm_memory_limit;
      status_visibility = ?#allowed_viewers([viewer]);
    };
    switch (await* createWith(calls, all, cycles)) {
      case (#Created made) #Created made;
      case (#Rejected _) await* createWith(calls, { all with status_visibility = null }, cycles);
    };
  };

  func createWith(calls : Calls, settings : Settings, cycles : Nat) : async* Created {
    calls.underWay += 1;
    try {
      let reply = await (with cycles) management().create_canister({ settings = ?settings });
      #Created { canisterId = reply.canister_id; refunded = Cycles.refunded() };
    } catch error #Rejected { reason = Error.message(error); refunded = cycles } finally calls.underWay -= 1;
  };

  /// What a canister has (its balance, and what is reserved for its storage) and burns idle in a day, in cycles; the seconds
  /// of idling that it is frozen below; whether it has no module, and so nothing any more.
  public type Means = { has : Nat; burnedPerDay : Nat; freezingThreshold : Nat; isEmpty : Bool };
  /// `Hidden`: its owner doesn't let the backend see it. `Gone`: there is no such canister any more. `Unknown`: nobody
  /// answered.
  public type Shown = { #Shown : Means; #Hidden; #Gone; #Unknown };

  /// Asks for a canister's status.
  public func status(calls : Calls, canisterId : Principal) : async* Shown {
    calls.underWay += 1;
    try {
      let told = await (with timeout = patience) management().canister_status({ canister_id = canisterId });
      #Shown {
        has = told.cycles + told.reserved_cycles;
        burnedPerDay = told.idle_cycles_burned_per_day;
        freezingThreshold = told.settings.freezing_threshold;
        isEmpty = told.module_hash == null;
      };
    } catch error switch (Error.code(error)) {
      case (#destination_invalid) #Gone;
      case (#canister_error or #canister_reject) #Hidden;
      case _ #Unknown;
    } finally calls.underWay -= 1;
  };

  /// `isGone`: there is no such canister any more. `Rejected`: all cycles are back, for certain.
  public type Deposit = { #Deposited; #Rejected : { reason : Text; isGone : Bool }; #Unknown : Text };

  /// Gives the canister cycles. It is waited for without limit, so that a reply or a reject is all that can come; but a
  /// network that doesn't know the outcome may say so (`SYS_UNKNOWN`), and that isn't a reject.
  public func deposit(calls : Calls, canisterId : Principal, cycles : Nat) : async* Deposit {
    calls.underWay += 1;
    try {
      await (with cycles) management().deposit_cycles({ canister_id = canisterId });
      #Deposited;
    } catch error switch (Error.code(error)) {
      case (#system_unknown) #Unknown(Error.message(error));
      case code #Rejected { reason = Error.message(error); isGone = code == #destination_invalid };
    } finally calls.underWay -= 1;
  };

  /// Asks who controls the canister, which module it runs, and all its changes that are told.
  public func info(calls : Calls, canisterId : Principal) : async* Info {
    let management : CanisterHistory.Management = actor "aaaaa-aa";
    calls.underWay += 1;
    try {
      let question = { canister_id = canisterId; num_requested_changes = ?CanisterHistory.mostChanges };
      #Info(await (with timeout = CanisterHistory.patience) management.canister_info(question));
    } catch error {
      switch (Error.code(error)) { case (#destination_invalid) #Gone; case _ #Rejected(Error.message(error)) };
    } finally calls.underWay -= 1;
  };

  /// Random bytes of the management canister.
  public func randomness(calls : Calls) : async* Capsule.Result<Blob> {
    calls.underWay += 1;
    try await* Randomness.draw() finally calls.underWay -= 1;
  };

  /// Asks a personal canister for its manifest; its refusal is a rejection as well. Only after its module was judged.
  public func manifest(calls : Calls, canisterId : Principal) : async* TargetManifest {
    let target : Target = actor (canisterId.toText());
    calls.underWay += 1;
    try {
      switch (await (with timeout = patience) target.get_manifest()) {
        case (#Ok held) #Manifest held;
        case (#Err error) #Rejected(debug_show error);
      };
    } catch error #Rejected(Error.message(error)) finally calls.underWay -= 1;
  };
};
