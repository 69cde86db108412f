/// The capsule API's types, one for one those of the Candid contracts (`backend.did`, `personal.did`).
/// Owns no behaviour and no stored state: see `Store` for what a canister keeps.
module {
  // ---- Capsule: types that both canisters share ----
  /// Times are nanoseconds since 1970 (nat64). Checksums are SHA-256 (32 bytes). "opt" fields may be left out.

  public type PersonRef = { #Principal : Principal; #Opaque : Text };
  public type OwnerState = { since : Nat64; last_activity_at : Nat64 };
  public type ControllerState = { granted_at : Nat64; granted_by : PersonRef };

  public type ConnectionStatus = { #Pending; #Accepted; #Blocked; #Revoked };
  public type Connection = {
    peer : PersonRef;
    status : ConnectionStatus;
    created_at : Nat64;
    updated_at : Nat64;
  };
  public type ConnectionGroup = {
    id : Text;
    name : Text;
    description : ?Text;
    members : [PersonRef];
    created_at : Nat64;
    updated_at : Nat64;
  };
  public type NewConnectionGroup = { name : Text; description : ?Text; members : [PersonRef] };
  public type ConnectionGroupUpdate = { name : ?Text; description : ?Text; members : ?[PersonRef] };

  public type MemoryType = { #Image; #Video; #Audio; #Document; #Note };
  public type MemoryInfo = {
    memory_type : MemoryType;
    name : Text;
    content_type : Text;
    created_at : Nat64;
    updated_at : Nat64;
    uploaded_at : Nat64;
    date_of_memory : ?Nat64;
  };
  public type MemoryMetadataBase = {
    size : Nat64;
    mime_type : Text;
    original_name : Text;
    uploaded_at : Text;
    date_of_memory : ?Text;
    people_in_memory : ?[Text];
    format : ?Text;
  };
  public type ImageMetadata = { base : MemoryMetadataBase; dimensions : ?(Nat32, Nat32) };
  public type VideoMetadata = {
    base : MemoryMetadataBase;
    duration : ?Nat32;
    width : ?Nat32;
    height : ?Nat32;
    thumbnail : ?Text;
  };
  public type AudioMetadata = {
    base : MemoryMetadataBase;
    duration : ?Nat32;
    bitrate : ?Nat32;
    sample_rate : ?Nat32;
    format : ?Text;
    channels : ?Nat8;
  };
  public type DocumentMetadata = { base : MemoryMetadataBase };
  public type NoteMetadata = { base : MemoryMetadataBase; tags : ?[Text] };
  public type MemoryMetadata = {
    #Image : ImageMetadata;
    #Video : VideoMetadata;
    #Audio : AudioMetadata;
    #Document : DocumentMetadata;
    #Note : NoteMetadata;
  };
  public type AccessEvent = {
    #AfterDeath;
    #Graduation;
    #Wedding;
    #Anniversary : Nat32;
    #Birthday : Nat32;
    #CapsuleMaturity : Nat32;
    #ConnectionCount : Nat32;
    #Custom : Text;
  };
  public type EventKind = {
    #AfterDeath;
    #Graduation;
    #Wedding;
    #Anniversary;
    #Birthday;
    #CapsuleMaturity;
    #ConnectionCount;
    #Custom;
  };
  /// How long an event of this kind waits when an executor has recorded it.
  public type EventWait = { kind : EventKind; wait_ns : Nat64 };
  /// Somebody whom an owner trusts to record events when the owner can't any more.
  public type Executor = { person : Principal; named_at : Nat64; named_by : Principal };
  /// `waits`: one for each kind, the owner's choice or the default.
  public type EventRules = { executors : [Executor]; waits : [EventWait] };
  /// When the event opens, or opened, what waits for it.
  public type EventOpening = { opens_at : Nat64 };
  public type MemoryAccess = {
    #Public;
    #Private;
    #Custom : { individuals : [PersonRef]; groups : [Text] };
    #Scheduled : { accessible_after : Nat64; access : MemoryAccess };
    #EventTriggered : { trigger_event : AccessEvent; access : MemoryAccess };
  };
  /// For ICPCapsule the canister sets locator (the memory's id) and hash (the checksum of the memory's chunk
  /// checksums).
  public type BlobKind = { #ICPCapsule; #MemoryBlobKindExternal };
  public type BlobRef = { kind : BlobKind; locator : Text; hash : ?Blob };
  public type MemoryData = { blob_ref : BlobRef; data : ?Blob };
  /// `data.data` holds the bytes when they fit a reply (one chunk); otherwise read them with read_memory_chunk.
  public type Memory = {
    id : Text;
    info : MemoryInfo;
    metadata : MemoryMetadata;
    access : MemoryAccess;
    data : MemoryData;
  };
  /// A memory without its bytes.
  public type MemoryRecord = {
    id : Text;
    info : MemoryInfo;
    metadata : MemoryMetadata;
    access : MemoryAccess;
    blob_ref : BlobRef;
  };
  public type MemorySummary = { memory : MemoryRecord; size : Nat64; chunk_size : Nat32; total_chunks : Nat32 };
  public type NewMemory = {
    /// Default: the caller's self-capsule.
    capsule_id : ?Text;
    memory_type : MemoryType;
    name : Text;
    content_type : Text;
    date_of_memory : ?Nat64;
    /// Default: from the fields above.
    metadata : ?MemoryMetadata;
    /// Default: Private.
    access : ?MemoryAccess;
  };
  public type MemoryInfoUpdate = { name : ?Text; content_type : ?Text; date_of_memory : ?Nat64 };
  public type MemoryUpdate = {
    info : ?MemoryInfoUpdate;
    metadata : ?MemoryMetadata;
    access : ?MemoryAccess;
    data : ?MemoryData;
  };
  public type UploadRequest = { memory : NewMemory; total_size : Nat64; chunk_size : Nat32 };
  public type UploadSession = {
    upload_id : Nat64;
    total_size : Nat64;
    chunk_size : Nat32;
    total_chunks : Nat32;
    expires_at : Nat64;
    /// The first 1,000.
    missing_chunks : [Nat32];
  };

  public type StorageStatus = { #Web2Only; #ICPOnly; #Both; #Migrating; #Failed };
  public type GalleryMemoryEntry = {
    memory_id : Text;
    position : Nat32;
    gallery_caption : ?Text;
    is_featured : Bool;
    /// JSON.
    gallery_metadata : Text;
  };
  public type Gallery = {
    id : Text;
    owner_principal : Principal;
    title : Text;
    description : ?Text;
    is_public : Bool;
    created_at : Nat64;
    updated_at : Nat64;
    storage_status : StorageStatus;
    memory_entries : [GalleryMemoryEntry];
  };
  public type GalleryData = {
    title : Text;
    description : ?Text;
    is_public : Bool;
    memory_entries : [GalleryMemoryEntry];
  };
  public type GalleryUpdate = {
    title : ?Text;
    description : ?Text;
    is_public : ?Bool;
    memory_entries : ?[GalleryMemoryEntry];
  };

  /// `memories` lists at most 500, in the order of their ids; page through all with list_capsule_memories.
  public type Capsule = {
    id : Text;
    subject : PersonRef;
    owners : [{ key : PersonRef; value : OwnerState }];
    controllers : [{ key : PersonRef; value : ControllerState }];
    connections : [{ key : PersonRef; value : Connection }];
    connection_groups : [{ key : Text; value : ConnectionGroup }];
    memories : [{ key : Text; value : MemoryRecord }];
    memory_count : Nat64;
    galleries : [{ key : Text; value : Gallery }];
    created_at : Nat64;
    updated_at : Nat64;
    bound_to_web2 : Bool;
  };
  public type CapsuleInfo = {
    capsule_id : Text;
    subject : PersonRef;
    is_owner : Bool;
    is_controller : Bool;
    is_self_capsule : Bool;
    bound_to_web2 : Bool;
    created_at : Nat64;
    updated_at : Nat64;
  };
  public type CapsuleHeader = {
    id : Text;
    subject : PersonRef;
    owner_count : Nat64;
    controller_count : Nat64;
    memory_count : Nat64;
    created_at : Nat64;
    updated_at : Nat64;
  };
  public type User = { principal_id : Principal; registered_at : Nat64; last_activity_at : Nat64; bound : Bool };

  /// `after`: the last id of the page before; `limit`: default 100, at most 1,000.
  public type PageRequest = { after : ?Text; limit : ?Nat32 };
  /// For people who may not write the capsule: only what they may read, and `total` is the page's.
  public type MemoryPage = { items : [MemorySummary]; next : ?Text; total : Nat64 };

  /// What is counted: of one principal, or of all. `content_bytes`: what chunks take, each rounded up to 16 bytes; of an
  /// upload in progress all that it will take. `record_bytes`: encoded records without their types, and 500 for each of a
  /// memory, 200 of a gallery, connection or group; 100 for each chunk and event beside its text, 1,000 for a capsule, 200
  /// for a registration, 10,000 for an executor, whose events have room then.
  public type Usage = {
    content_bytes : Nat;
    record_bytes : Nat;
    memories : Nat;
    galleries : Nat;
    capsules : Nat;
    uploads : Nat;
    nonces : Nat;
  };
  public type QuotaStatus = { limits : Usage; used : Usage };

  public type CapsuleError = {
    #Unauthorized : Text;
    #NotFound : { kind : Text; id : Text };
    #AlreadyExists : { kind : Text; id : Text };
    #InvalidArgument : { field : Text; reason : Text };
    #LimitExceeded : { what : Text; limit : Nat; actual : Nat };
    #ChecksumMismatch : { what : Text; expected : Blob; actual : Blob };
    #ChunkConflict : { memory_id : Text; index : Nat32 };
    #MissingChunks : { memory_id : Text; missing : [Nat32] };
    #SessionExpired : { session : Nat64; expired_at : Nat64 };
    #Locked : { reason : Text; until : ?Nat64 };
    #Moved : { personal_canister : Principal };
  };

  // ---- Manifests: what verification compares ----
  /// What the hashes are made of is defined in the contracts (`personal.did`, "Manifests").
  public type ItemKind = { #Capsule; #Memory; #Gallery; #Connection; #ConnectionGroup };
  /// Bytes of contents, as those who hold chunks count them and as the allocator's books have them: rounded up, as they are
  /// stored. `slab_bytes` are the trees' and among those taken; `free_bytes` are in holes, which are used again;
  /// `region_bytes` is the region's length.
  public type ContentsAudit = {
    chunks : Nat64;
    extents : Nat64;
    held_bytes : Nat64;
    taken_bytes : Nat64;
    slab_bytes : Nat64;
    free_bytes : Nat64;
    region_bytes : Nat64;
    /// Whether every byte is in one extent that somebody holds, in one slab, or in one hole.
    consistent : Bool;
    /// Whether each capsule's tree is that of its items, and every node is in a tree or free.
    manifests_consistent : Bool;
  };

  public type ItemRef = { kind : ItemKind; id : Text };
  public type ManifestEntry = {
    kind : ItemKind;
    /// Of a connection: "principal:<text>" or "opaque:<text>".
    id : Text;
    record_checksum : Blob;
    content_checksum : ?Blob;
    size : Nat64;
    chunk_size : Nat32;
    total_chunks : Nat32;
  };
  public type CapsuleManifest = {
    /// "canister-factory-manifest-2".
    scheme : Text;
    capsule_id : Text;
    /// The canister that computed it.
    origin : Principal;
    api_version : Text;
    revision : Nat64;
    taken_at : Nat64;
    memories : Nat64;
    galleries : Nat64;
    connections : Nat64;
    connection_groups : Nat64;
    /// Bytes.
    content_size : Nat64;
    manifest_hash : Blob;
  };
  /// What a personal canister holds beside the one capsule: nothing, when it is handed over.
  public type Beside = {
    /// Further capsules.
    capsules : Nat64;
    /// Memories and galleries that can be found and aren't the capsule's.
    items : Nat64;
    /// Principals that are known here, and that the capsule doesn't name as an owner or a controller.
    people : Nat64;
    /// Sessions, also committed ones that are remembered.
    uploads : Nat64;
    nonces : Nat64;
    /// Memories that an import has begun and not committed.
    pending_memories : Nat64;
    /// Bytes of their chunks.
    pending_bytes : Nat64;
  };
  public type MemoryManifest = {
    memory_id : Text;
    total_chunks : Nat32;
    total_size : Nat64;
    chunk_size : Nat32;
    chunk_checksums : [Blob];
    final_checksum : Blob;
  };
  /// An event that an executor records opens what waits for it at `opens_at`, unless it is revoked before.
  public type RecordedEvent = { event : AccessEvent; recorded_at : Nat64; recorded_by : Principal; opens_at : Nat64 };
  public type CapsuleRecord = {
    id : Text;
    subject : PersonRef;
    owners : [{ key : PersonRef; value : OwnerState }];
    controllers : [{ key : PersonRef; value : ControllerState }];
    events : [RecordedEvent];
    executors : [Executor];
    /// Those that an owner has chosen.
    event_waits : [EventWait];
    created_at : Nat64;
    updated_at : Nat64;
    bound_to_web2 : Bool;
  };
  public type ExportItem = {
    #Capsule : CapsuleRecord;
    #Memory : MemoryRecord;
    #Gallery : Gallery;
    #Connection : Connection;
    #ConnectionGroup : ConnectionGroup;
  };
  /// `revision` is the capsule's at the time of the page: when it moved between two pages, start again.
  public type ManifestPage = { entries : [ManifestEntry]; next : ?ItemRef; revision : Nat64 };

  public type Result<T> = { #Ok : T; #Err : CapsuleError };
  public type TextResult = Result<Text>;
  public type UnitResult = { #Ok; #Err : CapsuleError };
};
