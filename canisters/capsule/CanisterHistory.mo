/// What the management canister tells of a canister: who controls it, which module it runs, and its latest changes. Owns
/// the types; who asks, and what the answer means, is decided elsewhere.
///
/// Source: IC interface specification, "IC method canister_info"; `settings_change` is in the network's own types, though
/// no change is told so yet. The types are complete: a reply may have a type table of twice the length of the one that is
/// expected (`CandidLimits`).
module {
  /// Whoever made a change.
  public type Origin = {
    #from_user : { user_id : Principal };
    #from_canister : { canister_id : Principal; canister_version : ?Nat64 };
  };

  public type Details = {
    #creation : { controllers : [Principal]; environment_variables_hash : ?Blob };
    #code_deployment : { mode : { #install; #reinstall; #upgrade }; module_hash : Blob };
    #code_uninstall;
    #controllers_change : { controllers : [Principal] };
    #settings_change : { controllers : ?[Principal]; environment_variables_hash : ?Blob };
    #load_snapshot : {
      snapshot_id : Blob;
      from_canister_id : ?Principal;
      canister_version : Nat64;
      taken_at_timestamp : Nat64;
      source : { #taken_from_canister : Any; #metadata_upload : Any };
    };
    #rename_canister : {
      canister_id : Principal;
      total_num_changes : Nat64;
      rename_to : { canister_id : Principal; version : Nat64; total_num_changes : Nat64 };
      requested_by : Principal;
    };
  };

  /// A kind of change, or of origin, that came up later than this module is read as null.
  public type Change = {
    timestamp_nanos : Nat64;
    canister_version : Nat64;
    origin : ?Origin;
    details : ?Details;
  };

  /// The latest changes, oldest first. The network keeps at least the last 20, and counts all.
  public type History = {
    total_num_changes : Nat64;
    recent_changes : [Change];
    module_hash : ?Blob;
    controllers : [Principal];
  };

  /// More than any network keeps, so that all are told that there are.
  public let mostChanges : Nat64 = 1_000;

  /// Seconds to wait for the answer. While a call has none, its canister can be neither stopped nor upgraded.
  public let patience : Nat32 = 60;

  public type Management = actor {
    canister_info : shared { canister_id : Principal; num_requested_changes : ?Nat64 } -> async History;
  };
};
