/// The Merkle tree over the items of a capsule: one hash of all of them, kept up to date in O(log n) for a change. Owns the
/// nodes and their hashes, as the manifest's definition in the contracts has them; not what an item's key and hash are
/// made of (`Seal`), nor what the root is compared with (`Manifest`).
///
/// It is the crit-bit tree of the keys, so its form depends on the keys that are there, and not on how they came. A change
/// marks the nodes above it; `root` computes the marked ones, each once, however many changes there were since.
///
/// Nodes are in the contents' region, where neither the garbage collection nor an upgrade has to move them: 112 bytes an
/// item. A node has what the one above it needs to know of it nowhere but there: whether it is a leaf, its hash, and
/// whether that is out of date. The root's are in the tree itself.
import Blob "mo:core/Blob";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Nat8 "mo:core/Nat8";
import Region "mo:core/Region";
import Contents "Contents";
import Sha256 "sha256/Sha256";
import Slabs "Slabs";
import Types "Types";

module {
  /// Where the nodes of all trees are.
  public type Nodes = { inner : Slabs.Slabs; leaves : Slabs.Slabs };

  /// What is known of a node in the place above it. `stale`: something below it has changed since `hash` was computed.
  public type Link = { place : Slabs.Place; isLeaf : Bool; stale : Bool; hash : Blob };

  public type Tree = {
    nodes : Nodes;
    /// Null without items.
    var root : ?Link;
    /// How many items there are.
    var size : Nat;
  };

  // A leaf is its key, of 32 bytes. An inner node has, from its first byte:
  //   0  where the node on the left is, 4 where the one on the right (Nat32)
  //   8  its form (Nat32): the number of the bit in which the keys below it differ, on the left 0 and on the right 1, and
  //      the flags below
  //  15  what its hash is made of: the tag, the hash on the left, the hash on the right
  let innerBytes : Nat64 = 80;
  let leafBytes : Nat64 = 32;
  let formAt : Nat64 = 8;
  let tagAt : Nat64 = 15;
  let hashesAt : Nat64 = 16;
  let hashBytes : Nat64 = 32;
  let hashedBytes = 65;
  let tag : Nat8 = 0xFF;
  let leafFlag : Nat32 = 0x1_00;
  let staleFlag : Nat32 = 0x1_0000;

  /// No trees yet.
  public func nodes(contents : Contents.Contents) : Nodes = {
    inner = Slabs.empty(contents, innerBytes);
    leaves = Slabs.empty(contents, leafBytes);
  };

  /// A tree without items.
  public func empty(nodes : Nodes) : Tree = { nodes; var root = null; var size = 0 };

  /// Sees to it that there is room for so many items more. `LimitExceeded`: there isn't.
  public func reserve({ inner; leaves } : Nodes, items : Nat) : Types.UnitResult {
    switch (Slabs.reserve(inner, items)) { case (#Ok) Slabs.reserve(leaves, items); case problem problem };
  };

  // ---- Nodes ----

  func region(tree : Tree) : Region.Region = tree.nodes.inner.contents.region;

  func keyOf(tree : Tree, leaf : Slabs.Place) : Blob = Region.loadBlob(region(tree), Slabs.offset(leaf), 32);

  /// Bit 0 is the first byte's highest.
  func bitOf(key : Blob, bit : Nat32) : Nat32 {
    let byte = key[Nat32.toNat(bit / 8)];
    Nat32.fromNat(Nat8.toNat((byte >> Nat8.fromNat(Nat32.toNat(7 - bit % 8))) & 1));
  };

  /// The first bit in which two keys differ; null when they are the same.
  func firstDifference(a : Blob, b : Blob) : ?Nat32 {
    for (index in a.keys()) {
      let differing = a[index] ^ b[index];
      if (differing != 0) return ?Nat32.fromNat(8 * index + Nat8.toNat(Nat8.bitcountLeadingZero(differing)));
    };
    null;
  };

  func formOf(tree : Tree, node : Slabs.Place) : Nat32 = Region.loadNat32(region(tree), Slabs.offset(node) + formAt);

  func setForm(tree : Tree, node : Slabs.Place, form : Nat32) {
    Region.storeNat32(region(tree), Slabs.offset(node) + formAt, form);
  };

  func bitOfForm(form : Nat32) : Nat32 = form & 0xFF;

  func child(tree : Tree, node : Slabs.Place, side : Nat32) : Slabs.Place {
    Region.loadNat32(region(tree), Slabs.offset(node) + Nat64.fromNat32(4 * side));
  };

  func hashAt(node : Slabs.Place, side : Nat32) : Nat64 {
    Slabs.offset(node) + hashesAt + hashBytes * Nat64.fromNat32(side);
  };

  /// What the node knows of the one on a side.
  func link(tree : Tree, node : Slabs.Place, side : Nat32) : Link {
    let form = formOf(tree, node);
    {
      place = child(tree, node, side);
      isLeaf = form & (leafFlag << side) != 0;
      stale = form & (staleFlag << side) != 0;
      hash = Region.loadBlob(region(tree), hashAt(node, side), 32);
    };
  };

  func setLink(tree : Tree, node : Slabs.Place, side : Nat32, { place; isLeaf; stale; hash } : Link) {
    Region.storeNat32(region(tree), Slabs.offset(node) + Nat64.fromNat32(4 * side), place);
    Region.storeBlob(region(tree), hashAt(node, side), hash);
    let others = formOf(tree, node) & ^((leafFlag | staleFlag) << side);
    let leaf : Nat32 = if isLeaf (leafFlag << side) else 0;
    let mark : Nat32 = if stale (staleFlag << side) else 0;
    setForm(tree, node, others | leaf | mark);
  };

  // ---- Ways from the root ----

  /// A place for a link: of the tree itself, or on a side of a node.
  type Slot = { #Root; #Child : (Slabs.Place, Nat32) };

  func linkIn(tree : Tree, slot : Slot) : ?Link = switch slot {
    case (#Root) tree.root;
    case (#Child(node, side)) ?link(tree, node, side);
  };

  func setIn(tree : Tree, slot : Slot, to : Link) = switch slot {
    case (#Root) tree.root := ?to;
    case (#Child(node, side)) setLink(tree, node, side, to);
  };

  /// The key of the leaf to which the bits of `key` lead.
  func nearest(tree : Tree, root : Link, key : Blob) : Blob {
    var place = root.place;
    var isLeaf = root.isLeaf;
    while (not isLeaf) {
      let form = formOf(tree, place);
      let side = bitOf(key, bitOfForm(form));
      isLeaf := form & (leafFlag << side) != 0;
      place := child(tree, place, side);
    };
    keyOf(tree, place);
  };

  /// Marks the nodes on the way to `key` as stale, those for bits before `end`, and calls with each slot on it, the last one
  /// being that of a leaf or of a node for a later bit.
  func mark(tree : Tree, root : Link, key : Blob, end : Nat32, each : Slot -> ()) {
    each(#Root);
    var place = root.place;
    var isLeaf = root.isLeaf;
    if (not isLeaf and not root.stale and bitOfForm(formOf(tree, place)) < end) tree.root := ?{ root with stale = true };
    label down while (not isLeaf) {
      let form = formOf(tree, place);
      let bit = bitOfForm(form);
      if (bit >= end) break down;
      let side = bitOf(key, bit);
      let next = child(tree, place, side);
      isLeaf := form & (leafFlag << side) != 0;
      let goesOn = not isLeaf and bitOfForm(formOf(tree, next)) < end;
      if (goesOn and form & (staleFlag << side) == 0) setForm(tree, place, form | (staleFlag << side));
      each(#Child(place, side));
      place := next;
    };
  };

  // ---- Changes ----

  /// Puts an item's hash in its place, new or over the one with the same key. There must be room for a new one (`reserve`).
  public func put(tree : Tree, key : Blob, hash : Blob) {
    let ?root = tree.root else {
      tree.root := ?newLeaf(tree, key, hash);
      return;
    };
    let difference = firstDifference(nearest(tree, root, key), key);
    let bit = switch difference { case (?bit) bit; case null 256 : Nat32 };
    var slot : Slot = #Root;
    mark(tree, root, key, bit, func(next) = slot := next);
    let ?old = linkIn(tree, slot) else return;
    if (difference == null) return setIn(tree, slot, { old with hash });
    let node = Slabs.take(tree.nodes.inner);
    let side = bitOf(key, bit);
    setForm(tree, node, bit);
    Region.storeNat8(region(tree), Slabs.offset(node) + tagAt, tag);
    setLink(tree, node, side, newLeaf(tree, key, hash));
    setLink(tree, node, 1 - side, old);
    setIn(tree, slot, { place = node; isLeaf = false; stale = true; hash = noHash });
  };

  func newLeaf(tree : Tree, key : Blob, hash : Blob) : Link {
    let place = Slabs.take(tree.nodes.leaves);
    Region.storeBlob(region(tree), Slabs.offset(place), key);
    tree.size += 1;
    { place; isLeaf = true; stale = false; hash };
  };

  /// Takes an item away; one that isn't there changes nothing.
  public func remove(tree : Tree, key : Blob) {
    let ?root = tree.root else return;
    if (nearest(tree, root, key) != key) return;
    var above : Slot = #Root;
    var slot : Slot = #Root;
    mark(tree, root, key, 256, func(next) { above := slot; slot := next });
    let ?leaf = linkIn(tree, slot) else return;
    switch slot {
      case (#Root) tree.root := null;
      case (#Child(node, side)) {
        setIn(tree, above, link(tree, node, 1 - side));
        Slabs.release(tree.nodes.inner, node);
      };
    };
    Slabs.release(tree.nodes.leaves, leaf.place);
    tree.size -= 1;
  };

  // ---- Hashes ----

  /// The root of a tree without items, and what stands for a hash that has yet to be computed.
  let noHash : Blob = "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00";

  /// The hash of all items. O(1), but for what changed since it was asked for.
  public func root(tree : Tree) : Blob = switch (tree.root) {
    case null noHash;
    case (?link) {
      if (not link.stale) return link.hash;
      let hash = computed(tree, link.place);
      tree.root := ?{ link with hash; stale = false };
      hash;
    };
  };

  /// A hash beside the way from an item's to the root; `left`: it stands on the left.
  public type Step = { left : Bool; hash : Blob };

  /// The hashes beside the way from an item's to the root, from below; none of an item that isn't there. Of a tree whose root
  /// was asked for since it changed.
  public func witness(tree : Tree, key : Blob) : [Step] {
    let ?root = tree.root else return [];
    if (nearest(tree, root, key) != key) return [];
    let steps = List.empty<Step>();
    var place = root.place;
    var isLeaf = root.isLeaf;
    while (not isLeaf) {
      let form = formOf(tree, place);
      let side = bitOf(key, bitOfForm(form));
      steps.add({ left = side == 1; hash = link(tree, place, 1 - side).hash });
      isLeaf := form & (leafFlag << side) != 0;
      place := child(tree, place, side);
    };
    steps.reverse().toArray();
  };

  /// Computes what is out of date now: at the end of a change, so that whoever asks for the root doesn't pay for it.
  public func settle(tree : Tree) { ignore root(tree) };

  /// The hash of an inner node, after those below it that are out of date. Not deeper than a key has bits.
  func computed(tree : Tree, node : Slabs.Place) : Blob {
    let form = formOf(tree, node);
    for (side in ([0, 1] : [Nat32]).values()) {
      if (form & (staleFlag << side) != 0) {
        Region.storeBlob(region(tree), hashAt(node, side), computed(tree, child(tree, node, side)));
      };
    };
    let fresh = form & ^(staleFlag | staleFlag << 1);
    if (fresh != form) setForm(tree, node, fresh);
    Sha256.hash(Region.loadBlob(region(tree), Slabs.offset(node) + tagAt, hashedBytes));
  };

  /// The same hash, computed from the items' hashes by their keys, without a tree.
  public func rootOf(items : Map.Map<Blob, Blob>) : Blob {
    // Subtrees that wait for their other half: their hash, and how many bits the next key has in common with theirs.
    let waiting = List.empty<(Blob, Nat32)>();
    func joined(last : Blob, common : ?Nat32) : Blob {
      var hash = last;
      loop {
        let ?(left, alike) = waiting.last() else return hash;
        if (switch common { case (?least) alike < least; case null false }) return hash;
        ignore waiting.removeLast();
        hash := pair(left, hash);
      };
    };
    var before : ?(Blob, Blob) = null;
    for ((key, hash) in items.entries()) {
      switch before {
        case (?(lastKey, lastHash)) switch (firstDifference(lastKey, key)) {
          case (?common) waiting.add((joined(lastHash, ?common), common));
          case null {};
        };
        case null {};
      };
      before := ?(key, hash);
    };
    switch before { case (?(_, hash)) joined(hash, null); case null noHash };
  };

  func pair(left : Blob, right : Blob) : Blob {
    let hash = Sha256.new();
    Sha256.update(hash, Blob.fromArray([tag]));
    Sha256.update(hash, left);
    Sha256.update(hash, right);
    Sha256.digest(hash);
  };

  /// Whether every record of the nodes is in one of the trees or free: so many items are in all of them, in so many trees
  /// that aren't empty.
  public func areAll({ inner; leaves } : Nodes, items : Nat, trees : Nat) : Bool {
    Slabs.capacity(leaves) == items + leaves.free_count and Slabs.capacity(inner) + trees == items + inner.free_count;
  };
};
