/// The tree against its definition: whatever the order of changes, the root is what the items' hashes give (`rootOf`), and
/// a few roots are those that Python computes.
import Blob "mo:core/Blob";
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat8 "mo:core/Nat8";
import Text "mo:core/Text";
import { type Test; same; test } "../Test";
import Contents "../../capsule/Contents";
import MerkleTree "../../capsule/MerkleTree";
import Sha256 "../../capsule/sha256/Sha256";
import Slabs "../../capsule/Slabs";
import Verification "../../backend/Verification";

module {
  // Computed by tests/support/personal_world.py from the definition in the contracts; a test there compares them. The items'
  // keys are the SHA-256 of "0", "1", ..., and their hashes the SHA-256 of their keys.
  let roots : [(Nat, Text)] = [
    (0, "0000000000000000000000000000000000000000000000000000000000000000"),
    (1, "67050eeb5f95abf57449d92629dcf69f80c26247e207ad006a862d1e4e6498ff"),
    (2, "3a0b7e06311500d59a14c91e3f9a6f02271e2995309eba29da02cfb48aeec34c"),
    (3, "68216ca7fd49a9fa505e07e7c87b8add92bd64dd3962870425672f1a412bdb48"),
    (100, "4f2a706c0e5146881c3e1a30348c3c132c9b9490030f4030b02b7dfb74c8aa3a"),
  ];

  func key(number : Nat) : Blob = Sha256.hash(Nat.toText(number).encodeUtf8());

  func itemHash(number : Nat) : Blob = Sha256.hash(key number);

  func emptyTree() : MerkleTree.Tree = MerkleTree.empty(MerkleTree.nodes(Contents.empty()));

  func put(tree : MerkleTree.Tree, key : Blob, hash : Blob) {
    assert MerkleTree.reserve(tree.nodes, 1) == #Ok;
    MerkleTree.put(tree, key, hash);
  };

  func treeOf(numbers : [Nat]) : MerkleTree.Tree {
    let tree = emptyTree();
    for (number in numbers.values()) put(tree, key number, itemHash number);
    tree;
  };

  func rootOf(tree : MerkleTree.Tree) : Text = Verification.hex(MerkleTree.root(tree));

  /// Numbers below `limit` that look random, the same in every run.
  class Dice() {
    var state : Nat = 1;
    public func below(limit : Nat) : Nat {
      state := (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 18_446_744_073_709_551_616;
      (state / 4_294_967_296) % limit;
    };
  };

  /// A key that begins with so many zero bits, then a one, and ends with the number.
  func deepKey(zeros : Nat, number : Nat8) : Blob {
    let bytes = List.empty<Nat8>();
    for (index in Nat.range(0, 31)) bytes.add(if (index == zeros / 8) { 0x80 >> Nat8.fromNat(zeros % 8) } else { 0 : Nat8 });
    bytes.add(number);
    Blob.fromArray(bytes.toArray());
  };

  public func tests() : [Test] = [
    test("roots are what Python computes", func() {
      for ((count, expected) in roots.values()) {
        same(rootOf(treeOf(Nat.range(0, count).toArray())), expected);
      };
    }),
    test("the order of changes doesn't matter, nor what was there for a time", func() {
      let expected = rootOf(treeOf([1, 2, 3, 4, 5]));
      let tree = treeOf([9, 5, 4, 8, 3, 2, 7, 1]);
      for (number in [7, 8, 9].values()) MerkleTree.remove(tree, key number);
      same(rootOf(tree), expected);
      put(tree, key 2, itemHash 9);
      assert rootOf(tree) != expected;
      put(tree, key 2, itemHash 2);
      same(rootOf(tree), expected);
    }),
    test("to remove what isn't there changes nothing", func() {
      let tree = treeOf([1, 2]);
      let before = rootOf(tree);
      MerkleTree.remove(tree, key 3);
      same(rootOf(tree), before);
      MerkleTree.remove(emptyTree(), key 3);
      assert tree.size == 2;
    }),
    test("the last item leaves an empty tree", func() {
      let tree = treeOf([1]);
      MerkleTree.remove(tree, key 1);
      same(rootOf(tree), rootOf(emptyTree()));
      assert tree.size == 0 and MerkleTree.areAll(tree.nodes, 0, 0);
    }),
    test("after any changes the root is that of the items, and no node is lost", func() {
      let dice = Dice();
      let tree = emptyTree();
      let model = Map.empty<Blob, Blob>();
      for (_ in Nat.range(0, 600)) {
        let item = key(dice.below 60);
        if (dice.below 5 < 2) { MerkleTree.remove(tree, item); model.remove(item) } else {
          let hash = itemHash(dice.below 1_000);
          put(tree, item, hash);
          model.add(item, hash);
        };
        if (dice.below 4 == 0) {
          assert MerkleTree.root(tree) == MerkleTree.rootOf(model) and tree.size == model.size();
          assert MerkleTree.areAll(tree.nodes, model.size(), if (model.isEmpty()) 0 else 1);
        };
      };
    }),
    test("keys that differ in one late bit only make a deep tree", func() {
      let tree = emptyTree();
      let model = Map.empty<Blob, Blob>();
      for (zeros in Nat.range(0, 248)) {
        let item = deepKey(zeros, 1);
        put(tree, item, itemHash zeros);
        model.add(item, itemHash zeros);
      };
      for (number in ([0, 2, 3] : [Nat8]).values()) {
        put(tree, deepKey(247, number), itemHash 1_000);
        model.add(deepKey(247, number), itemHash 1_000);
      };
      assert MerkleTree.root(tree) == MerkleTree.rootOf(model);
      for (zeros in Nat.range(0, 100)) { MerkleTree.remove(tree, deepKey(zeros, 1)); model.remove(deepKey(zeros, 1)) };
      assert MerkleTree.root(tree) == MerkleTree.rootOf(model);
    }),
    test("trees share their nodes' place, and use again what one of them gave back", func() {
      let nodes = MerkleTree.nodes(Contents.empty());
      let trees = [MerkleTree.empty(nodes), MerkleTree.empty(nodes)];
      for (number in Nat.range(0, 200)) put(trees[number % 2], key number, itemHash number);
      let before = Slabs.capacity(nodes.leaves);
      let expected = rootOf(trees[1]);
      for (number in Nat.range(0, 100)) MerkleTree.remove(trees[0], key(2 * number));
      for (number in Nat.range(200, 300)) put(trees[0], key number, itemHash number);
      assert Slabs.capacity(nodes.leaves) == before and MerkleTree.areAll(nodes, 200, 2);
      same(rootOf(trees[1]), expected);
    }),
    test("an item takes 112 bytes of stable memory", func() {
      let tree = treeOf(Nat.range(0, 5_100).toArray());
      let slabs = tree.nodes.inner.contents.slabs.size();
      assert slabs * 4_096 / 5_100 == 112;
    }),
  ];
};
