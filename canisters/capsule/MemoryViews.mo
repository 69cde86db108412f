/// Memories as their readers see them: one with its bytes, and pages of many. Owns what a page has and where it ends; not
/// who may read (`Access`), and not how memories are kept (`Memories`).
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Text "mo:core/Text";
import Access "Access";
import Contents "Contents";
import Limits "Limits";
import Pages "Pages";
import Seal "Seal";
import Store "Store";
import Types "Types";

module {
  /// The memory as the reader may see it, with its bytes if they are one chunk. `ChecksumMismatch`: they aren't what was
  /// stored.
  public func view(
    store : Store.Store,
    memory : Store.StoredMemory,
    reader : Access.Reader,
  ) : Types.Result<Types.Memory> {
    let { id; info; metadata; access; blob_ref } = reader.shown(Seal.recordOf(memory));
    let data : ?Blob = switch (memory.content) {
      case (?{ chunks }) if (chunks.size() == 0) ?"" else if (chunks.size() > 1) null else switch (
        Contents.read(store.contents, chunks[0], "chunk 0 of " # id)
      ) {
        case (#Ok bytes) ?bytes;
        case (#Err problem) return #Err problem;
      };
      case null null;
    };
    #Ok { id; info; metadata; access; data = { blob_ref; data } };
  };

  func summary(memory : Store.StoredMemory, reader : Access.Reader) : Types.MemorySummary {
    let (size, chunk_size, total_chunks) : (Nat64, Nat32, Nat32) = switch (memory.content) {
      case (?c) (c.size, c.chunk_size, Nat32.fromNat(c.chunks.size()));
      case null (0, 0, 0);
    };
    { memory = reader.shown(Seal.recordOf(memory)); size; chunk_size; total_chunks };
  };

  /// The memories after the cursor, without those that only writers can read where the reader isn't one.
  func candidates(
    capsule : Store.Capsule,
    reader : Access.Reader,
    after : ?Text,
  ) : Iter.Iter<(Text, Store.StoredMemory)> {
    if (reader.writes) return Pages.entriesFrom(capsule.memories, after);
    Pages.valuesFrom(capsule.shared_memories, after).filterMap(
      func id = do ? { (id, capsule.memories.get(id)!) }
    );
  };

  /// What a page has when there is nothing that the caller may read, whether or not there is a capsule.
  public func emptyPage() : Types.MemoryPage = { items = []; next = null; total = 0 };

  /// A page of the memories that the reader may read. People who may not write the capsule learn nothing of the others:
  /// `total` counts what is on the page, and `next` says that another one follows which they may read. Only where 100,000
  /// rules had to be looked at does a page end before that is known.
  public func list(
    capsule : Store.Capsule,
    reader : Access.Reader,
    request : Types.PageRequest,
  ) : Types.MemoryPage {
    let wanted = Pages.size(request.limit);
    let items = List.empty<Types.MemorySummary>();
    var bytes = 0;
    var next : ?Text = null;
    var last : ?Text = null;
    label page for ((id, memory) in candidates(capsule, reader, request.after)) {
      if (reader.mayRead(memory)) {
        if (items.size() == wanted or bytes > Limits.pageBytes) {
          next := last;
          break page;
        };
        items.add(summary(memory, reader));
        bytes += memory.record_bytes;
        last := ?id;
      } else if (reader.work() > Limits.rulesLookedAt) {
        next := ?id;
        break page;
      };
    };
    {
      items = items.toArray();
      next;
      total = Nat64.fromNat(if (reader.writes) capsule.memories.size() else items.size());
    };
  };
};
