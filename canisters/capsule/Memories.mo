/// Memories: making, changing and deleting them, with their bytes. Owns how a memory is written to a capsule and its
/// indexes; not uploads in progress (`Uploads`), not what readers see (`MemoryViews`), and not who may write (the service
/// asks first).
import Array "mo:core/Array";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Set "mo:core/Set";
import Text "mo:core/Text";
import Access "Access";
import Contents "Contents";
import Dates "Dates";
import Galleries "Galleries";
import Limits "Limits";
import Quotas "Quotas";
import Seal "Seal";
import Sha256 "sha256/Sha256";
import Store "Store";
import Types "Types";
import Validate "Validate";

module {
  // ---- Checks ----

  /// What is wrong with a new memory, apart from its bytes.
  public func checkNew(capsule : Store.Capsule, memory : Types.NewMemory) : Validate.Problem = Validate.first([
    Validate.name("name", memory.name),
    Validate.name("content_type", memory.content_type),
    switch (memory.metadata) {
      case (?metadata) Validate.metadata(memory.memory_type, metadata);
      case null null;
    },
    checkAccess(capsule, memory.access),
  ]);

  func checkAccess(capsule : Store.Capsule, access : ?Types.MemoryAccess) : Validate.Problem = switch access {
    case (?rule) Validate.first([Validate.access(rule), checkGroups(capsule, rule)]);
    case null null;
  };

  func checkGroups(capsule : Store.Capsule, rule : Types.MemoryAccess) : Validate.Problem = switch rule {
    case (#Public or #Private) null;
    case (#Custom { groups }) switch (groups.find(func id = not capsule.groups.containsKey(id))) {
      case (?unknown) ?#NotFound { kind = "connection group"; id = unknown };
      case null null;
    };
    case (#Scheduled { access } or #EventTriggered { access }) checkGroups(capsule, access);
  };

  func checkData(data : Types.MemoryData) : Validate.Problem = switch (data.blob_ref.kind, data.data) {
    case (#ICPCapsule, ?bytes) Validate.first([
      Validate.most("bytes of inline data", Limits.chunkBytes, bytes.size()),
      Validate.blobRef(data.blob_ref),
    ]);
    case (#MemoryBlobKindExternal, ?_) Validate.invalid(
      "data",
      "bytes that are kept elsewhere can't be sent here as well",
    );
    case (_, null) Validate.blobRef(data.blob_ref);
  };

  // ---- Writing ----

  /// Bytes that came in one message, stored as content. A checksum that comes along with them is the one of the bytes, or
  /// the one that reading them gave.
  func inlineContent(
    store : Store.Store,
    bytes : Blob,
    stated : ?Blob,
    old : ?Store.Content,
  ) : Types.Result<Store.Content> {
    let replaced = switch old { case (?{ chunks }) chunks; case null [] };
    let chunks = if (bytes.size() == 0) [] else switch (Contents.storeInstead(store.contents, bytes, replaced)) {
      case (#Ok chunk) [chunk];
      case (#Err problem) return #Err problem;
    };
    let content = Seal.content(Nat64.fromNat(bytes.size()), Limits.inlineChunkSize, chunks);
    let ?expected = stated else return #Ok content;
    let actual = if (chunks.size() == 0) Sha256.hash("") else chunks[0].sha256;
    if (expected == actual or expected == content.checksum) return #Ok content;
    release(store, ?content);
    #Err(#ChecksumMismatch { what = "inline data"; expected; actual });
  };

  func contentRef(id : Text, content : ?Store.Content) : Types.BlobRef = {
    kind = #ICPCapsule;
    locator = id;
    hash = switch content { case (?c) ?c.checksum; case null null };
  };

  /// `old` is the content that this one is to replace, which is still there.
  func refAndContent(
    store : Store.Store,
    id : Text,
    data : Types.MemoryData,
    old : ?Store.Content,
  ) : Types.Result<(Types.BlobRef, ?Store.Content)> = switch (data.blob_ref.kind, data.data) {
    case (#MemoryBlobKindExternal, _) #Ok(data.blob_ref, null);
    case (#ICPCapsule, null) #Ok(contentRef(id, null), null);
    case (#ICPCapsule, ?bytes) switch (inlineContent(store, bytes, data.blob_ref.hash, old)) {
      case (#Ok content) #Ok(contentRef(id, ?content), ?content);
      case (#Err problem) #Err problem;
    };
  };

  /// Takes away the bytes of a content that no memory holds any more.
  func release(store : Store.Store, content : ?Store.Content) {
    switch content { case (?{ chunks }) Contents.release(store.contents, chunks); case null {} };
  };

  func contentOf(memory : ?Store.StoredMemory) : ?Store.Content = do ? { memory!.content! };

  /// Whether two contents are the same bytes in the same place.
  func isSame(a : ?Store.Content, b : ?Store.Content) : Bool = switch (a, b) {
    case (?one, ?other) one.chunks == other.chunks;
    case (null, null) true;
    case _ false;
  };

  /// What a content is charged.
  func contentCharge(content : ?Store.Content) : Quotas.Change = switch content {
    case (?{ size; chunk_size }) Quotas.content(size, chunk_size);
    case null Quotas.noChange;
  };

  /// What a memory is charged; nothing when there is none.
  func chargeOf(memory : ?Store.StoredMemory) : Quotas.Change = switch memory {
    case (?{ record_bytes; content }) Quotas.plus(Quotas.memoryRecord(record_bytes), contentCharge(content));
    case null Quotas.noChange;
  };

  /// What the memory in its place adds to what is charged.
  func growth(capsule : Store.Capsule, memory : Store.StoredMemory) : Quotas.Change {
    Quotas.between(chargeOf(capsule.memories.get(memory.id)), chargeOf(?memory));
  };

  /// Puts a memory in its place, new or over the one with the same id, whose bytes go unless the memory has them too.
  public func insert(store : Store.Store, capsule : Store.Capsule, memory : Store.StoredMemory) {
    let id = memory.id;
    Quotas.charge(capsule.account, growth(capsule, memory));
    let before = capsule.memories.get(id);
    let old = contentOf before;
    capsule.content_bytes -= contentSize(old);
    capsule.content_bytes += contentSize(memory.content);
    if (not isSame(old, memory.content)) release(store, old);
    capsule.memories.add(id, memory);
    if (before == null) Galleries.memoryCame(capsule, id);
    Seal.enter(capsule, #Memory, id, memory, memory.content);
    let isShared = switch (memory.rule) { case (?rule) Access.mayOpen(rule); case null false };
    if isShared capsule.shared_memories.add(id) else capsule.shared_memories.remove(id);
    store.memory_homes.add(id, capsule);
  };

  /// The same, unless the record is too large, or there is no room for it.
  func put(store : Store.Store, capsule : Store.Capsule, memory : Store.StoredMemory) : Types.UnitResult {
    switch (Validate.first([
      checkSize(memory.record_bytes),
      Quotas.check(capsule.account, growth(capsule, memory)),
    ])) {
      case (?problem) #Err problem;
      case null { insert(store, capsule, memory); #Ok };
    };
  };

  /// Refuses a record of more than 500,000 bytes.
  public func checkSize(recordBytes : Nat) : Validate.Problem {
    Validate.most("bytes of a memory's record", Limits.recordBytes, recordBytes);
  };

  func contentSize(content : ?Store.Content) : Nat64 = switch content { case (?{ size }) size; case null 0 };

  /// Takes a memory and its bytes away, without looking at galleries.
  public func drop(store : Store.Store, capsule : Store.Capsule, id : Text) {
    let memory = capsule.memories.take(id);
    if (memory == null) return;
    Galleries.memoryWent(capsule, id);
    Seal.leave(capsule, #Memory, id);
    Quotas.charge(capsule.account, Quotas.negated(chargeOf memory));
    let content = contentOf memory;
    capsule.content_bytes -= contentSize(content);
    release(store, content);
    capsule.shared_memories.remove(id);
    store.memory_homes.remove(id);
  };

  func defaultMetadata(memory : Types.NewMemory, size : Nat64, now : Nat64) : Types.MemoryMetadata {
    let base : Types.MemoryMetadataBase = {
      size;
      mime_type = memory.content_type;
      original_name = memory.name;
      uploaded_at = Dates.isoText(now);
      date_of_memory = switch (memory.date_of_memory) { case (?date) ?Dates.isoText(date); case null null };
      people_in_memory = null;
      format = null;
    };
    switch (memory.memory_type) {
      case (#Image) #Image { base; dimensions = null };
      case (#Video) #Video { base; duration = null; width = null; height = null; thumbnail = null };
      case (#Audio) #Audio {
        base;
        duration = null;
        bitrate = null;
        sample_rate = null;
        format = null;
        channels = null;
      };
      case (#Document) #Document { base };
      case (#Note) #Note { base; tags = null };
    };
  };

  /// The record of a new memory whose content has `size` bytes.
  func newRecord(
    id : Text,
    memory : Types.NewMemory,
    size : Nat64,
    blob_ref : Types.BlobRef,
    now : Nat64,
  ) : Types.MemoryRecord {
    {
      id;
      info = {
        memory_type = memory.memory_type;
        name = memory.name;
        content_type = memory.content_type;
        created_at = now;
        updated_at = now;
        uploaded_at = now;
        date_of_memory = memory.date_of_memory;
      };
      metadata = switch (memory.metadata) { case (?given) given; case null defaultMetadata(memory, size, now) };
      access = switch (memory.access) { case (?given) given; case null #Private };
      blob_ref;
    };
  };

  /// What a new memory of `size` bytes will be charged, known before its bytes are. `LimitExceeded`: there is no room for
  /// it, or its record is too large.
  public func reservation(
    capsule : Store.Capsule,
    id : Text,
    memory : Types.NewMemory,
    size : Nat64,
    chunkSize : Nat32,
    now : Nat64,
  ) : Types.Result<Quotas.Change> {
    let ref = { kind = #ICPCapsule; locator = id; hash = ?Seal.noChecksum() };
    let record = newRecord(id, memory, size, ref, now);
    let recordBytes = Seal.recordBytes(record);
    let charged = Quotas.plus(Quotas.memoryRecord(recordBytes), Quotas.content(size, chunkSize));
    switch (Validate.first([checkSize(recordBytes), Quotas.check(capsule.account, charged)])) {
      case (?problem) #Err problem;
      case null #Ok charged;
    };
  };

  /// Makes a checked new memory (`checkNew`) that there is a reservation for, of bytes that are stored already. Whatever
  /// was allowed when they began to come is stored, also when less is allowed by now.
  public func addReserved(
    store : Store.Store,
    capsule : Store.Capsule,
    id : Text,
    memory : Types.NewMemory,
    content : Store.Content,
    now : Nat64,
  ) {
    insert(store, capsule, Seal.memory(newRecord(id, memory, content.size, contentRef(id, ?content), now), ?content));
  };

  /// What inline data is charged: known before its bytes are hashed and stored, which is work.
  func inlineCharge(data : Types.MemoryData) : Quotas.Change = switch (data.data) {
    case (?bytes) Quotas.content(Nat64.fromNat(bytes.size()), Limits.inlineChunkSize);
    case null Quotas.noChange;
  };

  /// The new memory's id. Bytes come along, or are kept elsewhere.
  public func add(
    store : Store.Store,
    capsule : Store.Capsule,
    newId : () -> Text,
    data : Types.MemoryData,
    memory : Types.NewMemory,
    now : Nat64,
  ) : Types.TextResult {
    let charged = Quotas.plus(Quotas.memoryRecord(0), inlineCharge(data));
    switch (Validate.first([checkNew(capsule, memory), Quotas.check(capsule.account, charged)])) {
      case null {};
      case (?problem) return #Err problem;
    };
    switch (checkData(data)) { case null {}; case (?problem) return #Err problem };
    let id = newId();
    let (ref, content) = switch (refAndContent(store, id, data, null)) {
      case (#Ok found) found;
      case (#Err problem) return #Err problem;
    };
    let record = newRecord(id, memory, contentSize content, ref, now);
    switch (put(store, capsule, Seal.memory(record, content))) {
      case (#Ok) #Ok id;
      case (#Err problem) { release(store, content); #Err problem };
    };
  };

  /// Changes what the change names. Data without bytes is refused: what is stored stays when `data` is left out.
  public func update(
    store : Store.Store,
    capsule : Store.Capsule,
    old : Store.StoredMemory,
    change : Types.MemoryUpdate,
    now : Nat64,
  ) : Types.UnitResult {
    let record = Seal.recordOf(old);
    switch (checkUpdate(capsule, record, old.content, change)) { case null {}; case (?problem) return #Err problem };
    let (blob_ref, content) = switch (change.data) {
      case (?data) switch (refAndContent(store, record.id, data, old.content)) {
        case (#Ok found) found;
        case (#Err problem) return #Err problem;
      };
      case null (record.blob_ref, old.content);
    };
    let info = infoOf(change);
    let updated : Types.MemoryRecord = {
      id = record.id;
      info = {
        record.info with
        name = switch (info.name) { case (?name) name; case null record.info.name };
        content_type = switch (info.content_type) { case (?text) text; case null record.info.content_type };
        date_of_memory = switch (info.date_of_memory) { case null record.info.date_of_memory; case given given };
        updated_at = now;
        uploaded_at = if (change.data == null) record.info.uploaded_at else now;
      };
      metadata = switch (change.metadata) { case (?given) given; case null record.metadata };
      access = switch (change.access) { case (?given) given; case null record.access };
      blob_ref;
    };
    let result = put(store, capsule, Seal.memory(updated, content));
    if (result != #Ok and not isSame(content, old.content)) release(store, content);
    result;
  };

  func infoOf(change : Types.MemoryUpdate) : Types.MemoryInfoUpdate = switch (change.info) {
    case (?given) given;
    case null ({ name = null; content_type = null; date_of_memory = null });
  };

  func checkUpdate(
    capsule : Store.Capsule,
    old : Types.MemoryRecord,
    content : ?Store.Content,
    change : Types.MemoryUpdate,
  ) : Validate.Problem {
    let info = infoOf(change);
    Validate.first([
      switch (info.name) { case (?name) Validate.name("info.name", name); case null null },
      switch (info.content_type) { case (?text) Validate.name("info.content_type", text); case null null },
      switch (change.metadata) {
        case (?metadata) Validate.metadata(old.info.memory_type, metadata);
        case null null;
      },
      checkAccess(capsule, change.access),
      switch (change.data) {
        case (?{ blob_ref = { kind = #ICPCapsule }; data = null }) Validate.invalid(
          "data",
          "has no bytes; leave data out to keep what is stored",
        );
        case (?data) {
          let growth = Quotas.between(contentCharge(content), inlineCharge(data));
          switch (Quotas.check(capsule.account, growth)) { case null checkData(data); case problem problem };
        };
        case null null;
      },
    ]);
  };

  /// Deletes a memory and its entries in the capsule's galleries.
  public func delete(store : Store.Store, capsule : Store.Capsule, id : Text, now : Nat64) {
    drop(store, capsule, id);
    Galleries.forgetMemory(capsule, id, now);
  };
};
