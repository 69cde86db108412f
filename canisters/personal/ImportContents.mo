/// The bytes of imported memories: chunks, and the commit that makes a memory of them. Every byte is hashed once,
/// when its chunk is stored. Of a batch all is stored or nothing.
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Order "mo:core/Order";
import Text "mo:core/Text";
import Capsule "../capsule/Types";
import CapsuleLimits "../capsule/Limits";
import Contents "../capsule/Contents";
import Export "../capsule/Export";
import Memories "../capsule/Memories";
import MerkleTree "../capsule/MerkleTree";
import Quotas "../capsule/Quotas";
import Seal "../capsule/Seal";
import Store "../capsule/Store";
import Validate "../capsule/Validate";
import ImportState "ImportState";
import Types "Types";

module {
  type State = ImportState.State;

  func describe(chunk : Types.MemoryChunk) : Text = "chunk " # Nat32.toText(chunk.index) # " of " # chunk.memory_id;

  func sizeOf(bytes : Blob) : Nat64 = Nat64.fromNat(bytes.size());

  // ---- Chunks ----

  func storedChunk(state : State, chunk : Types.MemoryChunk) : ?Store.Chunk {
    switch (state.pending.get(chunk.memory_id)) {
      case (?pending) return pending.chunks.get(chunk.index);
      case null {};
    };
    let ?{ content = ?content } = state.capsule.memories.get(chunk.memory_id) else return null;
    let index = Nat32.toNat(chunk.index);
    if (index < content.chunks.size()) ?content.chunks[index] else null;
  };

  /// The same bytes again are no problem, others under the same index are.
  func compare(store : Store.Store, known : Store.Chunk, chunk : Types.MemoryChunk) : Validate.Problem {
    switch (Contents.holds(store.contents, known, describe(chunk), chunk.bytes)) {
      case (#Ok true) {};
      case (#Ok false) return ?#ChunkConflict { memory_id = chunk.memory_id; index = chunk.index };
      case (#Err problem) return ?problem;
    };
    if (known.sha256 != chunk.sha256) return ?#ChecksumMismatch {
      what = describe(chunk);
      expected = chunk.sha256;
      actual = known.sha256;
    };
    null;
  };

  /// `charge`: what it and the chunks before it in the batch are charged.
  func checkNewChunk(
    state : State,
    chunk : Types.MemoryChunk,
    storedBefore : Nat64,
    charge : Quotas.Change,
  ) : Validate.Problem {
    let total = storedBefore + sizeOf(chunk.bytes);
    Validate.first([
      Validate.name("memory_id", chunk.memory_id),
      Validate.most("chunks of a memory", CapsuleLimits.chunksPerMemory, Nat32.toNat(chunk.index) + 1),
      if (chunk.bytes.size() == 0) Validate.invalid("bytes", "a chunk has at least 1 byte") else null,
      Validate.most("bytes of a chunk", Nat64.toNat(state.limits.max_chunk_bytes), chunk.bytes.size()),
      Validate.most("bytes of an import", Nat64.toNat(state.limits.max_import_bytes), Nat64.toNat(total)),
      Quotas.check(state.capsule.account, charge),
      switch (state.pending.get(chunk.memory_id), state.capsule.memories.get(chunk.memory_id)) {
        case (null, ?_) Validate.invalid(
          "memory_id",
          "memory " # chunk.memory_id # " is committed without such a chunk; put its changed record first",
        );
        case _ null;
      },
    ]);
  };

  /// Stores one chunk, which isn't pending yet.
  func storeChunk(store : Store.Store, chunk : Types.MemoryChunk) : Capsule.Result<Store.Chunk> {
    let stored = switch (Contents.store(store.contents, chunk.bytes)) {
      case (#Ok found) found;
      case (#Err problem) return #Err problem;
    };
    if (stored.sha256 == chunk.sha256) return #Ok stored;
    Contents.release(store.contents, [stored]);
    #Err(#ChecksumMismatch { what = describe(chunk); expected = chunk.sha256; actual = stored.sha256 });
  };

  /// Stores chunks. The same again is a success; other bytes at the same place are refused.
  public func putChunks(store : Store.Store, state : State, chunks : [Types.MemoryChunk]) : Capsule.UnitResult {
    let fresh = Map.empty<(Text, Nat32), Store.Chunk>();
    func refuse(problem : Capsule.CapsuleError) : Capsule.UnitResult {
      Contents.release(store.contents, fresh.values().toArray());
      #Err problem;
    };
    var total = ImportState.storedBytes(state);
    var charge = Quotas.noChange;
    for (chunk in chunks.values()) {
      let place = (chunk.memory_id, chunk.index);
      let known = switch (storedChunk(state, chunk)) {
        case null fresh.get(comparePlaces, place);
        case stored stored;
      };
      switch known {
        case (?same) switch (compare(store, same, chunk)) { case null {}; case (?problem) return refuse problem };
        case null {
          charge := Quotas.plus(charge, Quotas.chunk(chunk.bytes.size()));
          switch (checkNewChunk(state, chunk, total, charge)) { case null {}; case (?problem) return refuse problem };
          switch (storeChunk(store, chunk)) {
            case (#Ok stored) fresh.add(comparePlaces, place, stored);
            case (#Err problem) return refuse problem;
          };
          total += sizeOf(chunk.bytes);
        };
      };
    };
    for (((memory_id, index), chunk) in fresh.entries()) {
      Quotas.charge(state.capsule.account, Quotas.chunk(chunk.size));
      ImportState.pendingFor(state, memory_id).chunks.add(index, chunk);
      state.staged_bytes += Nat64.fromNat(chunk.size);
    };
    #Ok;
  };

  func comparePlaces(a : (Text, Nat32), b : (Text, Nat32)) : Order.Order = switch (Text.compare(a.0, b.0)) {
    case (#equal) Nat32.compare(a.1, b.1);
    case different different;
  };

  // ---- Commits ----

  type Ready = { record : Store.SealedRecord; content : Store.Content };

  /// Whether the memory is committed already, with just this content.
  func isCommitted(
    state : State,
    manifest : Capsule.MemoryManifest,
  ) : Bool = switch (state.capsule.memories.get(manifest.memory_id)) {
    case (?{ content = ?content }) Export.memoryManifest(manifest.memory_id, content) == manifest;
    case _ false;
  };

  /// Whether the manifest's numbers fit each other, and the pending chunks are none but those that it names.
  func checkCounts(pending : ImportState.Pending, manifest : Capsule.MemoryManifest) : Validate.Problem {
    let { memory_id; total_chunks; total_size; chunk_size } = manifest;
    let count = Nat32.toNat(total_chunks);
    if (manifest.chunk_checksums.size() != count) return Validate.invalid(
      "chunk_checksums",
      "there must be one for each of the " # Nat32.toText(total_chunks) # " chunks",
    );
    let size = Nat32.toNat(chunk_size);
    let wanted : ?Nat = if (size == 0) null else ?((total_size.toNat() + size - 1) / size);
    if (wanted != ?count) return Validate.invalid(
      "total_size",
      Nat64.toText(total_size) # " bytes don't make " # Nat32.toText(total_chunks) # " chunks of "
      # Nat32.toText(chunk_size),
    );
    switch (pending.chunks.maxEntry()) {
      case (?(last, _)) if (last >= total_chunks) Validate.invalid(
        "total_chunks",
        "chunk " # Nat32.toText(last) # " of " # memory_id # " is here too, beyond the manifest's",
      ) else null;
      case null null;
    };
  };

  /// Whether a pending chunk is the one that the manifest has at `index`.
  func checkChunk(chunk : Store.Chunk, manifest : Capsule.MemoryManifest, index : Nat32) : Validate.Problem {
    let expected = manifest.chunk_checksums[Nat32.toNat(index)];
    let what = "chunk " # Nat32.toText(index) # " of " # manifest.memory_id;
    if (chunk.sha256 != expected) return ?#ChecksumMismatch { what; expected; actual = chunk.sha256 };
    let size = Nat64.fromNat32(manifest.chunk_size);
    let wanted = Nat64.min(size, manifest.total_size - Nat64.fromNat32(index) * size);
    if (Nat64.fromNat(chunk.size) == wanted) return null;
    Validate.invalid(
      "chunk_size",
      what # " has " # Nat.toText(chunk.size) # " bytes instead of " # Nat64.toText(wanted),
    );
  };

  /// The pending chunks in their order, when all that the manifest names are there, with the right sizes and checksums.
  func assemble(pending : ImportState.Pending, manifest : Capsule.MemoryManifest) : Capsule.Result<[Store.Chunk]> {
    switch (checkCounts(pending, manifest)) { case null {}; case (?problem) return #Err problem };
    let chunks = List.empty<Store.Chunk>();
    let missing = List.empty<Nat32>();
    var index : Nat32 = 0;
    while (index < manifest.total_chunks) {
      switch (pending.chunks.get(index)) {
        case null if (missing.size() < CapsuleLimits.missingChunksListed) missing.add(index);
        case (?chunk) {
          switch (checkChunk(chunk, manifest, index)) { case null {}; case (?problem) return #Err problem };
          chunks.add(chunk);
        };
      };
      index += 1;
    };
    if (missing.isEmpty()) #Ok(chunks.toArray()) else #Err(
      #MissingChunks { memory_id = manifest.memory_id; missing = missing.toArray() }
    );
  };

  func prepare(state : State, manifest : Capsule.MemoryManifest) : Capsule.Result<Ready> {
    let id = manifest.memory_id;
    let ?pending = state.pending.get(id) else return #Err(#NotFound { kind = "pending memory"; id });
    let ?record = pending.record else return #Err(#NotFound { kind = "record of pending memory"; id });
    let chunks = switch (assemble(pending, manifest)) {
      case (#Ok found) found;
      case (#Err problem) return #Err problem;
    };
    let content = Seal.content(manifest.total_size, manifest.chunk_size, chunks);
    if (content.checksum != manifest.final_checksum) {
      return #Err(#ChecksumMismatch {
        what = "final checksum of " # id;
        expected = manifest.final_checksum;
        actual = content.checksum;
      });
    };
    switch (Seal.recordOf(record).blob_ref.hash) {
      case (?hash) if (hash != content.checksum) {
        return #Err(#ChecksumMismatch { what = "blob_ref.hash of " # id; expected = hash; actual = content.checksum });
      };
      case null {};
    };
    #Ok { record; content };
  };

  /// Makes memories of pending chunks and records. Committing the same again is a success.
  public func commit(store : Store.Store, state : State, manifests : [Capsule.MemoryManifest]) : Capsule.UnitResult {
    let ready = Map.empty<Text, Ready>();
    for (manifest in manifests.values()) {
      let pends = state.pending.containsKey(manifest.memory_id);
      if (pends or not isCommitted(state, manifest)) {
        switch (prepare(state, manifest)) {
          case (#Ok memory) ready.add(manifest.memory_id, memory);
          case (#Err problem) return #Err problem;
        };
      };
    };
    let reserved = MerkleTree.reserve(store.nodes, ready.size());
    if (reserved != #Ok) return reserved;
    for ((id, { record; content }) in ready.entries()) {
      ImportState.movePending(state, id);
      Memories.insert(store, state.capsule, { record with content = ?content });
    };
    #Ok;
  };
};
