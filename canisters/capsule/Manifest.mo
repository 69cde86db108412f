/// The manifest of a capsule, and its entries page by page: what verification compares. The definition is in the
/// contracts. The items' part of the hash is kept up to date (`MerkleTree`); that of the capsule's own record is computed
/// when it is asked for.
import Blob "mo:core/Blob";
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Option "mo:core/Option";
import Text "mo:core/Text";
import ApiVersion "ApiVersion";
import Capsules "Capsules";
import MerkleTree "MerkleTree";
import Pages "Pages";
import Seal "Seal";
import Sha256 "sha256/Sha256";
import Store "Store";
import Types "Types";

module {
  public let scheme : Text = "canister-factory-manifest-2";
  let certifiedScheme : Text = "canister-factory-certified-1";

  /// The seal of the capsule's own record, unless that has yet to be imported.
  func ownSeal(capsule : Store.Capsule) : ?Store.Seal {
    if (capsule.id == "") null else ?Seal.capsule(Capsules.record(capsule)).seal;
  };

  /// The manifest hash. It takes as long as the capsule's own record is, and what changed since it was computed last.
  public func hash(capsule : Store.Capsule) : Blob {
    let whole = Sha256.new();
    Sha256.update(whole, scheme.encodeUtf8());
    Sha256.update(
      whole,
      switch (ownSeal(capsule)) {
        case (?seal) Seal.entryHash(#Capsule, capsule.id, seal, null);
        case null Seal.noChecksum();
      },
    );
    Sha256.update(whole, MerkleTree.root(capsule.tree));
    Sha256.digest(whole);
  };

  /// What a personal canister certifies: the manifest hash of what it holds, and that of its finished import.
  public func certified(live : Blob, imported : Blob) : Blob {
    let whole = Sha256.new();
    Sha256.update(whole, certifiedScheme.encodeUtf8());
    Sha256.update(whole, live);
    Sha256.update(whole, imported);
    Sha256.digest(whole);
  };

  /// Takes the manifest; `origin` is the canister that computes it.
  public func take(capsule : Store.Capsule, origin : Principal, now : Nat64) : Types.CapsuleManifest = {
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
    manifest_hash = hash(capsule);
  };

  /// Whether the trees of the capsules, which are all that there are, have what the capsules have.
  public func areTrue(nodes : MerkleTree.Nodes, capsules : Iter.Iter<Store.Capsule>) : Bool {
    var items = 0;
    var trees = 0;
    for (capsule in capsules) {
      let hashes = Map.empty<Blob, Blob>();
      func add(kind : Types.ItemKind, id : Text, seal : Store.Seal, content : ?Store.Content) {
        hashes.add(Seal.key(kind, id), Seal.entryHash(kind, id, seal, content));
      };
      for ((id, memory) in capsule.memories.entries()) add(#Memory, id, memory, memory.content);
      for ((id, { seal }) in capsule.galleries.entries()) add(#Gallery, id, seal, null);
      for ((id, { seal }) in capsule.connections.entries()) add(#Connection, id, seal, null);
      for ((id, { seal }) in capsule.groups.entries()) add(#ConnectionGroup, id, seal, null);
      if (capsule.tree.size != hashes.size()) return false;
      if (MerkleTree.root(capsule.tree) != MerkleTree.rootOf(hashes)) return false;
      items += hashes.size();
      if (not hashes.isEmpty()) trees += 1;
    };
    MerkleTree.areAll(nodes, items, trees);
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
      switch (ownSeal(capsule)) { case (?seal) page.add(entry(#Capsule, capsule.id, seal, null)); case null {} };
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
