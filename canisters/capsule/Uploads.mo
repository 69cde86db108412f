/// Uploads of large memories, chunk by chunk, by the caller who began them. Owns the sessions: their chunks, their
/// expiry after an hour without activity, and the sweep that frees what was abandoned. A commit turns one into a
/// memory.
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Queue "mo:core/Queue";
import VarArray "mo:core/VarArray";
import Contents "Contents";
import Ids "Ids";
import Limits "Limits";
import Memories "Memories";
import Quotas "Quotas";
import Seal "Seal";
import Store "Store";
import Types "Types";
import Validate "Validate";

module {
  /// Sessions that each `begin` looks at, in turn, to free the expired ones.
  let sweepStep = 16;

  func expiresAt(upload : Store.Upload) : Nat64 = upload.last_activity_at + Limits.uploadTimeout;

  /// What the caller sees of a session.
  public func view(upload : Store.Upload) : Types.UploadSession {
    let missing = List.empty<Nat32>();
    label search for (index in upload.chunks.keys()) {
      if (missing.size() == Limits.missingChunksListed) break search;
      if (upload.chunks[index] == null) missing.add(Nat32.fromNat(index));
    };
    {
      upload_id = upload.id;
      total_size = upload.total_size;
      chunk_size = upload.chunk_size;
      total_chunks = upload.total_chunks;
      expires_at = expiresAt(upload);
      missing_chunks = missing.toArray();
    };
  };

  /// A session for one memory, and room for all of it until the session ends. Refuses what could never be committed.
  public func begin(
    store : Store.Store,
    capsule : Store.Capsule,
    newId : () -> Text,
    owner : Principal,
    request : Types.UploadRequest,
    now : Nat64,
  ) : Types.Result<Types.UploadSession> {
    sweep(store, now);
    let problem = Validate.first([
      Memories.checkNew(capsule, request.memory),
      Validate.most("bytes of an upload", Nat64.toNat(Limits.uploadBytes), Nat64.toNat(request.total_size)),
      Validate.most("bytes of a chunk", Limits.chunkBytes, Nat32.toNat(request.chunk_size)),
      Contents.checkRoom(store.contents, request.total_size),
      if (request.chunk_size == 0) Validate.invalid("chunk_size", "must be at least 1 byte") else null,
    ]);
    switch problem { case null {}; case (?found) return #Err found };
    let chunkSize = Nat64.fromNat32(request.chunk_size);
    let chunks = Nat64.toNat((request.total_size + chunkSize - 1) / chunkSize);
    switch (Validate.most("chunks of a memory", Limits.chunksPerMemory, chunks)) {
      case null {};
      case (?found) return #Err found;
    };

    freeExpired(store, owner, now);
    let caller = Store.account(store, owner);
    switch (Quotas.check(caller, Quotas.upload)) { case null {}; case (?found) return #Err found };
    let id = newId();
    let { memory; total_size; chunk_size } = request;
    let reserved = switch (Memories.reservation(capsule, id, memory, total_size, chunk_size, now)) {
      case (#Ok charge) charge;
      case (#Err found) return #Err found;
    };
    Quotas.charge(capsule.account, reserved);
    Quotas.charge(caller, Quotas.upload);
    let upload : Store.Upload = {
      id = Ids.stamp(store, now);
      owner;
      capsule;
      memory_id = id;
      var memory = ?memory;
      var reserved;
      total_size;
      chunk_size;
      total_chunks = Nat32.fromNat(chunks);
      var chunks = VarArray.repeat<?Store.Chunk>(null, chunks);
      var last_activity_at = now;
      var committed = false;
    };
    store.uploads.add(upload.id, upload);
    ownSessions(store, owner).add(upload.id, upload);
    #Ok(view(upload));
  };

  /// Frees the caller's sessions that have expired.
  public func freeExpired(store : Store.Store, owner : Principal, now : Nat64) {
    let ?known = store.uploads_of.get(owner) else return;
    for (upload in known.values().toArray().values()) { if (now >= expiresAt(upload)) free(store, upload) };
  };

  func ownSessions(store : Store.Store, owner : Principal) : Map.Map<Nat64, Store.Upload> {
    switch (store.uploads_of.get(owner)) {
      case (?known) known;
      case null {
        let fresh = Map.empty<Nat64, Store.Upload>();
        store.uploads_of.add(owner, fresh);
        fresh;
      };
    };
  };

  func free(store : Store.Store, upload : Store.Upload) {
    for (slot in upload.chunks.values()) {
      switch slot { case (?chunk) Contents.release(store.contents, [chunk]); case null {} };
    };
    store.uploads.remove(upload.id);
    if (upload.committed) forgetCommitted(store, upload) else end(store, upload);
  };

  /// The session isn't in progress any more: what it held is free.
  func end(store : Store.Store, upload : Store.Upload) {
    Quotas.charge(upload.capsule.account, Quotas.negated(upload.reserved));
    Quotas.charge(Store.account(store, upload.owner), Quotas.negated(Quotas.upload));
    upload.reserved := Quotas.noChange;
    upload.memory := null;
    upload.chunks := [var];
    let ?own = store.uploads_of.get(upload.owner) else return;
    own.remove(upload.id);
    if (own.isEmpty()) store.uploads_of.remove(upload.owner);
  };

  /// Committed sessions are kept for those who ask again: the last ones of each caller, until they expire.
  func keepCommitted(store : Store.Store, upload : Store.Upload) {
    let own = switch (store.committed_of.get(upload.owner)) {
      case (?known) known;
      case null {
        let fresh = Queue.empty<Nat64>();
        store.committed_of.add(upload.owner, fresh);
        fresh;
      };
    };
    own.pushBack(upload.id);
    if (own.size() > Limits.committedUploads) {
      switch (own.popFront()) { case (?oldest) store.uploads.remove(oldest); case null {} };
    };
  };

  /// They expire in the order in which they were committed.
  func forgetCommitted(store : Store.Store, upload : Store.Upload) {
    let ?own = store.committed_of.get(upload.owner) else return;
    label expired while (true) {
      let ?oldest = own.peekFront() else break expired;
      if (store.uploads.containsKey(oldest)) break expired;
      ignore own.popFront();
    };
    if (own.isEmpty()) store.committed_of.remove(upload.owner);
  };

  /// Looks at a few sessions, in turn, and frees the expired ones.
  public func sweep(store : Store.Store, now : Nat64) {
    let rest = store.uploads.entriesFrom(store.upload_sweep).take(sweepStep).toArray();
    store.upload_sweep := if (rest.size() < sweepStep) 0 else rest[sweepStep - 1].0 + 1;
    for ((_, upload) in rest.values()) { if (now >= expiresAt(upload)) free(store, upload) };
  };

  /// The session, unless it has expired.
  public func live(upload : Store.Upload, now : Nat64) : Types.Result<Store.Upload> {
    if (now < expiresAt(upload)) #Ok upload else #Err(
      #SessionExpired { session = upload.id; expired_at = expiresAt(upload) }
    );
  };

  /// Stores a chunk after comparing its checksum. The same chunk again is a success.
  public func putChunk(
    store : Store.Store,
    upload : Store.Upload,
    index : Nat32,
    bytes : Blob,
    sha256 : Blob,
    now : Nat64,
  ) : Types.UnitResult {
    if (upload.committed) return #Err(#AlreadyExists { kind = "memory"; id = upload.memory_id });
    if (index >= upload.total_chunks) {
      return #Err(
        #InvalidArgument { field = "index"; reason = "the upload has " # Nat32.toText(upload.total_chunks) # " chunks" }
      );
    };
    switch (Validate.most("bytes of a chunk", Limits.chunkBytes, bytes.size())) {
      case null {};
      case (?problem) return #Err problem;
    };
    let offset = Nat64.fromNat32(index) * Nat64.fromNat32(upload.chunk_size);
    let expected = Nat64.toNat(Nat64.min(Nat64.fromNat32(upload.chunk_size), upload.total_size - offset));
    if (bytes.size() != expected) {
      return #Err(#InvalidArgument {
        field = "bytes";
        reason = "chunk " # Nat32.toText(index) # " has " # Nat.toText(bytes.size()) # " bytes instead of "
        # Nat.toText(expected);
      });
    };
    let position = Nat32.toNat(index);
    switch (upload.chunks[position]) {
      case (?known) {
        switch (Contents.holds(store.contents, known, chunkName(upload, index), bytes)) {
          case (#Ok true) {};
          case (#Ok false) return #Err(#ChunkConflict { memory_id = upload.memory_id; index });
          case (#Err problem) return #Err problem;
        };
        if (known.sha256 != sha256) return #Err(mismatch(upload, index, sha256, known.sha256));
      };
      case null {
        let chunk = switch (Contents.store(store.contents, bytes)) {
          case (#Ok stored) stored;
          case (#Err problem) return #Err problem;
        };
        if (chunk.sha256 != sha256) {
          Contents.release(store.contents, [chunk]);
          return #Err(mismatch(upload, index, sha256, chunk.sha256));
        };
        upload.chunks[position] := ?chunk;
      };
    };
    upload.last_activity_at := now;
    #Ok;
  };

  func chunkName(upload : Store.Upload, index : Nat32) : Text = "chunk " # Nat32.toText(index) # " of " # upload.memory_id;

  func mismatch(upload : Store.Upload, index : Nat32, expected : Blob, actual : Blob) : Types.CapsuleError {
    #ChecksumMismatch { what = chunkName(upload, index); expected; actual };
  };

  /// Makes the memory. Committing again answers the same memory.
  public func commit(store : Store.Store, upload : Store.Upload, now : Nat64) : Types.TextResult {
    if (upload.committed) return #Ok(upload.memory_id);
    let chunks = List.empty<Store.Chunk>();
    for (slot in upload.chunks.values()) {
      switch slot {
        case (?chunk) chunks.add(chunk);
        case null return #Err(#MissingChunks { memory_id = upload.memory_id; missing = view(upload).missing_chunks });
      };
    };
    // The capsule's groups may have changed since the session began.
    let ?memory = upload.memory else return #Err(#NotFound { kind = "upload"; id = Nat64.toText(upload.id) });
    switch (Memories.checkNew(upload.capsule, memory)) { case null {}; case (?problem) return #Err problem };
    let content = Seal.content(upload.total_size, upload.chunk_size, chunks.toArray());
    Memories.addReserved(store, upload.capsule, upload.memory_id, memory, content, now);
    upload.committed := true;
    upload.last_activity_at := now;
    end(store, upload);
    keepCommitted(store, upload);
    #Ok(upload.memory_id);
  };

  /// Frees the owner's sessions in progress that bring something to the capsule.
  public func abortAll(store : Store.Store, capsule : Store.Capsule, owner : Principal) {
    let ?own = store.uploads_of.get(owner) else return;
    for (upload in own.values().toArray().values()) { if (upload.capsule.id == capsule.id) free(store, upload) };
  };

  /// Frees the session and its chunks.
  public func abort(store : Store.Store, upload : Store.Upload) { free(store, upload) };
};
