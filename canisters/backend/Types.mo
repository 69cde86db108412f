/// The Candid types that only the backend has: creations, operators, reserve, alerts. The types that both canisters
/// share are in `capsule/Types`; the rules that go with these types are in the module of each concern.
import Capsule "../capsule/Types";

module {
  // ---- Creation ----
  /// `show_status`: whether the backend may see the canister's status also when it is the owner's.
  public type CreatePersonalCanisterConfig = { name : ?Text; subnet_id : ?Principal; show_status : ?Bool };
  public type PersonalCanisterCreationResponse = { success : Bool; canister_id : ?Principal; message : Text };
  public type CreationStatus = {
    #NotStarted;
    #Exporting;
    #Creating;
    #Installing;
    #Importing;
    #Verifying;
    #Completed;
    #Failed;
    /// Completed, and taken back by its owner: the shared capsule takes writes again.
    #Undone;
  };
  public type CreationErrorKind = {
    #Unauthorized;
    #Disabled;
    #ReserveInsufficient;
    #CreateFailed;
    #InstallFailed;
    #ImportFailed;
    #VerifyFailed;
    #HandoffFailed;
    #HistoryFailed;
    #InvalidRequest;
    #Busy;
    #Cancelled;
    #NotAdmitted;
    #Declined;
    #BudgetSpent;
    #TooEarly;
    #TooLate;
    #Written;
  };
  public type CreationError = {
    kind : CreationErrorKind;
    message : Text;
    stage : ?CreationStatus;
    canister_id : ?Principal;
    needed : ?Nat;
    available : ?Nat;
    retry_helps : Bool;
    /// When the same request may succeed, where that is known.
    retry_at : ?Nat64;
  };
  /// A canister's balance and what it burns idle in a day, in cycles, at a time.
  public type Seen = { canisterId : Principal; at : Nat64; balance : Nat; burnedPerDay : Nat };
  public type Result<T> = { #Ok : T; #Err : CreationError };
  public type CreationResult = { #Ok; #Err : CreationError };
  public type CreationProgress = {
    stage : CreationStatus;
    bytes_done : Nat64;
    bytes_total : Nat64;
    items_done : Nat64;
    items_total : Nat64;
  };
  public type CreationStatusResponse = { status : CreationStatus; canister_id : ?Principal; message : Text };
  public type DetailedCreationStatus = {
    owner : Principal;
    status : CreationStatus;
    canister_id : ?Principal;
    /// Whose the creation was since it has a canister; the last one's it is, who controls the canister beside the owner.
    operators : [Principal];
    /// Who takes the operator's place by a retry of the owner, where that is no operator any more.
    next_operator : ?Principal;
    config : CreatePersonalCanisterConfig;
    created_at : Nat64;
    updated_at : Nat64;
    completed_at : ?Nat64;
    attempts : Nat32;
    cycles_consumed : Nat;
    paid_until : ?Nat64;
    /// The warning mark that the present time has come to: 90, 30 or 7 days before that date.
    expires_within_days : ?Nat;
    error : ?CreationError;
    progress : CreationProgress;
    progress_message : Text;
    source_manifest : ?Capsule.CapsuleManifest;
    verified : Bool;
    locked_until : ?Nat64;
    /// Canisters that can't become the owner's any more, by what was done to them; to be cleaned up.
    lost_canisters : [Principal];
    undone_at : ?Nat64;
    /// Until when the owner's writes are taken here beside the personal canister, to bring back what was written there.
    move_back_until : ?Nat64;
    erasure : ?Erasure;
  };
  // ---- The old side of a completed creation ----
  public type ErasureStage = { #Waiting; #Erasing; #Erased };
  /// `due_at`: when it begins, and can't be cancelled any more; while it waits, `message` says what holds it up then.
  public type Erasure = {
    stage : ErasureStage;
    requested_at : Nat64;
    due_at : Nat64;
    started_at : ?Nat64;
    erased_at : ?Nat64;
    memories_left : Nat64;
    message : Text;
  };
  /// What was erased, where it lives on, and what the canister there had got.
  public type ErasureReceipt = {
    backend : Principal;
    owner : Principal;
    capsule_id : Text;
    canister_id : Principal;
    requested_at : Nat64;
    started_at : Nat64;
    erased_at : Nat64;
    memories : Nat64;
    content_size : Nat64;
    manifest_hash : Blob;
    imported_manifest_hash : Blob;
  };
  /// The hashes beside the way from the receipt's to the root, from below; `left`: it stands on the left.
  public type WitnessStep = { left : Bool; hash : Blob };
  public type CertifiedReceipt = {
    receipt : ErasureReceipt;
    encoded : Blob;
    witness : [WitnessStep];
    certificate : ?Blob;
  };
  public type CreationPage = { items : [DetailedCreationStatus]; next : ?Principal; total : Nat64 };
  public type OwnerPageRequest = { after : ?Principal; limit : ?Nat32 };
  /// Who gets a personal canister: everybody, those on the list, or besides these those whom an admin approves.
  public type Admission = { #Open; #Listed; #Approval };
  public type AdmittedPage = { items : [Principal]; next : ?Principal; total : Nat64 };
  public type CreationLimits = { max_in_progress : Nat32; max_per_hour : Nat32 };
  public type PersonalCanisterCreationStats = {
    total_attempts : Nat64;
    total_successes : Nat64;
    total_failures : Nat64;
    /// Of the successes.
    total_undone : Nat64;
    total_cycles_consumed : Nat;
  };
  public type PersonalCanisterRecord = {
    canister_id : Principal;
    created_by : Principal;
    created_at : Nat64;
    status : CreationStatus;
    cycles_consumed : Nat;
    /// Until when it takes updates, by what it was given; null before its completion.
    paid_until : ?Nat64;
    /// Null where its owner doesn't let the backend see it.
    seen : ?CanisterSeen;
    /// When the backend learned that it is deleted, or has no module any more.
    found_deleted_at : ?Nat64;
  };
  /// What the network told of a canister: cycles (the balance, and what is reserved for its storage).
  public type CanisterSeen = { at : Nat64; cycles : Nat; burned_per_day : Nat };
  public type RegistryPage = { items : [PersonalCanisterRecord]; next : ?Principal; total : Nat64 };

  // ---- Operators ----
  public type ClaimRequest = { owner : Principal; worker : Text; duration_ns : ?Nat64 };
  /// `manifest`: what is to be moved, as it is now; null when there is no capsule any more.
  public type CreationLease = {
    lease : Nat64;
    expires_at : Nat64;
    creation : DetailedCreationStatus;
    manifest : ?Capsule.CapsuleManifest;
  };
  public type OpenRequest = {
    owner : Principal;
    status : CreationStatus;
    canister_id : ?Principal;
    operator : ?Principal;
    requested_at : Nat64;
    leased_until : ?Nat64;
    worker : ?Text;
  };
  public type OpenRequestPage = { items : [OpenRequest]; next : ?Principal };
  public type LeaseRef = { owner : Principal; lease : Nat64 };
  public type ProvisionResult = { canister_id : Principal; cycles : Nat; is_new : Bool };
  public type VerificationReport = {
    matches : Bool;
    source : Capsule.CapsuleManifest;
    target : Capsule.CapsuleManifest;
    differences : [Text];
    /// Where both are equal: when the handoff must be executed at the latest.
    handoff_until : ?Nat64;
  };
  public type Release = { module_hash : Blob; api_version : Text; registered_at : Nat64; note : Text };
  /// Of new personal canisters: seconds, and bytes of the Wasm memory.
  /// `root`: the contract says of what.
  public type BackendInventory = {
    capsules : Nat64;
    memories : Nat64;
    canisters : Nat64;
    creations : Nat64;
    open_creations : Nat64;
    root : Blob;
  };
  public type PersonalCanisterSettings = { freezing_threshold : Nat; wasm_memory_limit : Nat };
  public type NewRelease = { module_hash : Blob; api_version : Text; note : Text };

  // ---- Reserve ----
  /// What a network charges, in cycles: for a canister; what an installation must be able to take; what installing and
  /// importing take, and that for each byte; for being there, and for each GiB, in a second.
  public type PriceTable = {
    network : Text;
    creation : Nat;
    installation : Nat;
    import_base : Nat;
    import_byte : Nat;
    idle_second : Nat;
    gib_second : Nat;
  };
  public type ReserveSettings = {
    threshold : Nat;
    operating_minimum : Nat;
    funded_days : Nat;
    prices : PriceTable;
    cycles_per_day : Nat;
  };
  public type AlertLevel = { #Normal; #Warning; #Critical };
  public type ReserveStatus = {
    balance : Nat;
    available : Nat;
    in_flight : Nat;
    frozen : Nat;
    settings : ReserveSettings;
    total_consumed : Nat;
    spent_in_day : Nat;
    total_topped_up : Nat;
    alert_level : AlertLevel;
    recommended_top_up : Nat;
  };
  public type ConsumptionEntry = {
    id : Nat64;
    at : Nat64;
    owner : Principal;
    canister_id : ?Principal;
    attached : Nat;
    refunded : Nat;
  };
  public type ConsumptionReport = {
    reserve : ReserveStatus;
    window_ns : Nat64;
    consumed_in_window : Nat;
    creations_in_window : Nat64;
    recommendation : Text;
  };
  public type ConsumptionPage = { items : [ConsumptionEntry]; next : ?Nat64 };
  public type NumberedPageRequest = { after : ?Nat64; limit : ?Nat32 };

  // ---- What admins did ----
  /// `what`: the arguments, as Motoko shows them; at most 1,000 characters.
  public type AuditEntry = { id : Nat64; at : Nat64; by : Principal; method : Text; what : Text };
  public type AuditPage = { items : [AuditEntry]; next : ?Nat64 };

  // ---- What people keep here ----
  /// `heap_bytes`: where the backend's heap takes no more.
  public type Quotas = { person : Capsule.Usage; total : Capsule.Usage; heap_bytes : Nat };
  /// `people`: how many principals use something.
  public type QuotaReport = { quotas : Quotas; used : Capsule.Usage; heap_bytes_used : Nat; people : Nat };
  /// `message`: what those who are refused are told.
  public type CapsuleSwitches = { new_capsules : Bool; writes : Bool; message : ?Text };

  // ---- Alerts ----
  public type NotificationKind = {
    #ReserveWarning;
    #ReserveCritical;
    #CreationFailed;
    #DepositUnknown;
    #CanisterExpires;
  };
  /// `subject`: the owner or the canister that it is about; `until`: when the cycles of that canister end.
  public type Notification = {
    id : Nat64;
    at : Nat64;
    kind : NotificationKind;
    subject : ?Principal;
    until : ?Nat64;
    message : Text;
    acknowledged_by : ?Principal;
  };
  public type NotificationPage = { items : [Notification]; next : ?Nat64 };
  public type ErrorLogEntry = { id : Nat64; at : Nat64; owner : ?Principal; error : CreationError };
  public type ErrorLogPage = { items : [ErrorLogEntry]; next : ?Nat64 };
  public type ErrorRate = { window_ns : Nat64; attempts : Nat64; failures : Nat64 };

  public type BackendInit = {
    admins : ?[Principal];
    operators : ?[Principal];
    reserve : ?ReserveSettings;
    creation_enabled : ?Bool;
    limits : ?CreationLimits;
    quotas : ?Quotas;
    personal_canister_settings : ?PersonalCanisterSettings;
    admission : ?Admission;
  };
};
