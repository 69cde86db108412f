/// The personal canister's own types, one for one those of `personal.did`: init argument, import, manifest.
import Capsule "../capsule/Types";

module {
  type CapsuleManifest = Capsule.CapsuleManifest;

  // ---- Import ----
  public type ImportLimits = {
    /// Default 2,000,000.
    max_chunk_bytes : Nat64;
    /// Default 100,000,000.
    max_import_bytes : Nat64;
    /// Without activity; default 3,600 s.
    session_timeout_ns : Nat64;
  };
  public type PersonalInit = {
    owner : Principal;
    /// Where the capsule comes from; may read the manifest.
    backend : Principal;
    name : ?Text;
    limits : ?ImportLimits;
  };
  public type ImportState = { #Active; #Finalizing; #Completed; #Failed; #Expired };
  public type ImportSession = {
    id : Nat64;
    state : ImportState;
    started_at : Nat64;
    last_activity_at : Nat64;
    expires_at : Nat64;
    /// Bytes stored by the import so far.
    bytes_received : Nat64;
    memories_committed : Nat64;
    limits : ImportLimits;
  };
  /// A memory that isn't committed yet: which chunks are here already, and whether its record is.
  public type PendingMemory = { memory_id : Text; has_record : Bool; chunks : [{ index : Nat32; sha256 : Blob }] };
  public type ImportStatus = { session : ?ImportSession; pending : [PendingMemory]; next : ?Text };
  public type MemoryChunk = { memory_id : Text; index : Nat32; bytes : Blob; sha256 : Blob };
  public type FinalizedImport = { total_memories_imported : Nat64; total_size_imported : Nat64 };
  /// In the order in which it's done.
  public type ImportBatch = {
    removed : [Capsule.ItemRef];
    items : [Capsule.ExportItem];
    chunks : [MemoryChunk];
    commits : [Capsule.MemoryManifest];
    finalize : Bool;
  };
  public type ImportOutcome = { session : Nat64; final : ?FinalizedImport };
  public type CertifiedManifest = {
    /// Of what is there now.
    manifest : CapsuleManifest;
    /// Of the finished import.
    imported : ?CapsuleManifest;
    beside : Capsule.Beside;
    certificate : ?Blob;
    /// Until when nothing is written here, so that the backend can compare what is there.
    closed_until : ?Nat64;
  };
  public type PersonalInfo = {
    owner : Principal;
    backend : Principal;
    name : ?Text;
    api_version : Text;
    capsule_id : ?Text;
    import_state : ?ImportState;
    /// Whether its owner can use it.
    is_open : Bool;
  };
};
