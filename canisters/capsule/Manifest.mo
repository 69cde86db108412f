/// The manifest of a capsule, and its entries page by page: what verification compares. The definition is in the
/// contracts; hashes of the items come from their seals, so that a manifest of n items costs n small steps.
import List "mo:core/List";
import Map "mo:core/Map";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Option "mo:core/Option";
import Text "mo:core/Text";
import ApiVersion "ApiVersion";
import Capsules "Capsules";
import Pages "Pages";
import Seal "Seal";
import Sha256 "sha256/Sha256";
import Store "Store";
import Types "Types";

module {
  public let scheme : Text = "canister-factory-manifest-1";

  /// The capsule's own record, unless it has yet to be imported.
  func ownEntry(capsule : Store.Capsule) : ?Store.Sealed<Types.CapsuleRecord> {
    if (capsule.id == "") null else ?Seal.capsule(Capsules.record(capsule));
  };

  /// Takes the manifest; `origin` is the canister that computes it.
  public func take(capsule : Store.Capsule, origin : Principal, now : Nat64) : Types.CapsuleManifest {
    let hash = Sha256.new();
    Sha256.update(hash, scheme.encodeUtf8());
    switch (ownEntry(capsule)) { case (?{ seal }) Sha256.update(hash, seal.entry_hash); case null {} };
    for ({ entry_hash } in capsule.memories.values()) Sha256.update(hash, entry_hash);
    for ({ seal } in capsule.galleries.values()) Sha256.update(hash, seal.entry_hash);
    for ({ seal } in capsule.connections.values()) Sha256.update(hash, seal.entry_hash);
    for ({ seal } in capsule.groups.values()) Sha256.update(hash, seal.entry_hash);
    {
      scheme;
      capsule_id = capsule.id;
      origin;
      api_version = ApiVersion.current;
      revision = capsule.revision;
      taken_at = now;
      memories = Nat64.fromNat(capsule.memories.size());
      galleries = Nat64.fromNat(capsule.galleries.size());
      connections = Nat64.fromNat(capsule.connections.size());
      connection_groups = Nat64.fromNat(capsule.groups.size());
      content_size = capsule.content_bytes;
      manifest_hash = Sha256.digest(hash);
    };
  };

  func entry(kind : Types.ItemKind, id : Text, seal : Store.Seal, content : ?Store.Content) : Types.ManifestEntry {
    let (content_checksum, size, chunk_size, total_chunks) : (?Blob, Nat64, Nat32, Nat32) = switch content {
      case null (null, 0, 0, 0);
      case (?c) (?c.checksum, c.size, c.chunk_size, Nat32.fromNat(c.chunks.size()));
    };
    { kind; id; record_checksum = seal.record_checksum; content_checksum; size; chunk_size; total_chunks };
  };

  /// The entries after the given one, in the manifest's order; `limit` defaults to 100 and is at most 1,000.
  public func entries(capsule : Store.Capsule, after : ?Types.ItemRef, limit : ?Nat32) : Types.ManifestPage {
    let wanted = Pages.size(limit);
    let page = List.empty<Types.ManifestEntry>();

    // Adds the entries of one kind that come after the cursor; true when there are more than the page holds.
    func fill<V>(kind : Types.ItemKind, map : Map.Map<Text, V>, describe : (Text, V) -> Types.ManifestEntry) : Bool {
      let rest = switch after {
        case (?cursor) {
          if (Seal.kindNumber(cursor.kind) > Seal.kindNumber(kind)) return false;
          if (cursor.kind == kind) Pages.entriesAfter(map, cursor.id) else map.entries();
        };
        case null map.entries();
      };
      for ((id, value) in rest) {
        if (page.size() == wanted) return true;
        page.add(describe(id, value));
      };
      false;
    };

    if (after == null) {
      switch (ownEntry(capsule)) { case (?{ seal }) page.add(entry(#Capsule, capsule.id, seal, null)); case null {} };
    };
    let more = fill<Store.StoredMemory>(#Memory, capsule.memories, func(id, m) = entry(#Memory, id, m, m.content))
      or fill<Store.Sealed<Types.Gallery>>(#Gallery, capsule.galleries, func(id, g) = entry(#Gallery, id, g.seal, null))
      or fill<Store.Sealed<Types.Connection>>(
        #Connection,
        capsule.connections,
        func(id, c) = entry(#Connection, id, c.seal, null),
      )
      or fill<Store.Sealed<Types.ConnectionGroup>>(
        #ConnectionGroup,
        capsule.groups,
        func(id, g) = entry(#ConnectionGroup, id, g.seal, null),
      );
    let next = if more { page.last().map(func last = { kind = last.kind; id = last.id }) } else null;
    { entries = page.toArray(); next; revision = capsule.revision };
  };
};
