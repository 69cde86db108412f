/// What an export reads of a capsule: items by reference, the manifests of memories' contents, chunks. Replies are
/// kept below a message's size: lists answer the first part of what was asked, at least one, and the caller asks
/// again for the rest.
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Text "mo:core/Text";
import Array "mo:core/Array";
import Capsules "Capsules";
import Contents "Contents";
import Limits "Limits";
import Seal "Seal";
import Store "Store";
import Types "Types";

module {
  func notFound(ref : Types.ItemRef) : Types.CapsuleError {
    let kind = switch (ref.kind) {
      case (#Capsule) "capsule";
      case (#Memory) "memory";
      case (#Gallery) "gallery";
      case (#Connection) "connection";
      case (#ConnectionGroup) "connection group";
    };
    #NotFound { kind; id = ref.id };
  };

  /// An item and its encoded size in bytes.
  func item(capsule : Store.Capsule, ref : Types.ItemRef) : ?(Types.ExportItem, Nat) = switch (ref.kind) {
    case (#Capsule) {
      if (ref.id != capsule.id) return null;
      let { record; seal } = Seal.capsule(Capsules.record(capsule));
      ?(#Capsule record, seal.record_bytes);
    };
    case (#Memory) do ? { let found = capsule.memories.get(ref.id)!; (#Memory(Seal.recordOf(found)), found.record_bytes) };
    case (#Gallery) do ? {
      let found = capsule.galleries.get(ref.id)!;
      (#Gallery(found.record), found.seal.record_bytes);
    };
    case (#Connection) do ? {
      let found = capsule.connections.get(ref.id)!;
      (#Connection(found.record), found.seal.record_bytes);
    };
    case (#ConnectionGroup) do ? {
      let found = capsule.groups.get(ref.id)!;
      (#ConnectionGroup(found.record), found.seal.record_bytes);
    };
  };

  /// The items in the order of the references.
  public func items(capsule : Store.Capsule, refs : [Types.ItemRef]) : Types.Result<[Types.ExportItem]> {
    let page = List.empty<Types.ExportItem>();
    var bytes = 0;
    for (ref in refs.values()) {
      let ?(found, size) = item(capsule, ref) else return #Err(notFound(ref));
      bytes += size;
      if (not page.isEmpty() and (bytes > Limits.pageBytes or page.size() == Limits.largestPage)) return #Ok(
        page.toArray()
      );
      page.add(found);
    };
    #Ok(page.toArray());
  };

  /// The content of memories, in the order of the ids; memories without bytes here are left out.
  public func memoryManifests(capsule : Store.Capsule, ids : [Text]) : Types.Result<[Types.MemoryManifest]> {
    let page = List.empty<Types.MemoryManifest>();
    var bytes = 0;
    for (id in ids.values()) {
      let ?memory = capsule.memories.get(id) else return #Err(#NotFound { kind = "memory"; id });
      switch (memory.content) {
        case null {};
        case (?content) {
          bytes += 200 + 33 * content.chunks.size();
          if (not page.isEmpty() and (bytes > Limits.pageBytes or page.size() == Limits.largestPage)) return #Ok(
            page.toArray()
          );
          page.add(memoryManifest(id, content));
        };
      };
    };
    #Ok(page.toArray());
  };

  /// What an importer has to bring for this content.
  public func memoryManifest(id : Text, content : Store.Content) : Types.MemoryManifest = {
    memory_id = id;
    total_chunks = Nat32.fromNat(content.chunks.size());
    total_size = content.size;
    chunk_size = content.chunk_size;
    chunk_checksums = content.chunks.map(func chunk = chunk.sha256);
    final_checksum = content.checksum;
  };

  /// Refuses a memory that isn't in the capsule.
  public func chunk(store : Store.Store, capsule : Store.Capsule, memoryId : Text, index : Nat32) : Types.Result<Blob> {
    let ?memory = capsule.memories.get(memoryId) else return #Err(#NotFound { kind = "memory"; id = memoryId });
    chunkOf(store, memory, index);
  };

  /// Chunk `index` of a memory's content. `ChecksumMismatch`: its bytes aren't what was stored.
  public func chunkOf(store : Store.Store, memory : Store.StoredMemory, index : Nat32) : Types.Result<Blob> {
    let ?content = memory.content else return #Err(#NotFound { kind = "content of memory"; id = memory.id });
    let position = Nat32.toNat(index);
    if (position >= content.chunks.size()) {
      return #Err(#InvalidArgument {
        field = "index";
        reason = "the memory has " # Nat.toText(content.chunks.size()) # " chunks";
      });
    };
    Contents.read(store.contents, content.chunks[position], "chunk " # Nat32.toText(index) # " of " # memory.id);
  };
};
