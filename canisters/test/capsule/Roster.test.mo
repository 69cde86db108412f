import Array "mo:core/Array";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Text "mo:core/Text";
import { type Test; test } "../Test";
import Capsules "../../capsule/Capsules";
import Limits "../../capsule/Limits";
import MerkleTree "../../capsule/MerkleTree";
import Persons "../../capsule/Persons";
import Roster "../../capsule/Roster";
import Samples "../Samples";
import Seal "../../capsule/Seal";
import Store "../../capsule/Store";
import Types "../../capsule/Types";

module {
  func group(descriptionChars : Nat) : Store.Sealed<Types.ConnectionGroup> {
    let description = ?Text.fromIter(Array.repeat('a', descriptionChars).values());
    Seal.group({ Samples.group("group-1", []) with description });
  };

  /// A group whose record has just so many bytes.
  func groupOf(bytes : Nat) : Store.Sealed<Types.ConnectionGroup> {
    let sized = group(bytes);
    group(bytes + bytes - sized.seal.record_bytes);
  };

  public func tests() : [Test] = [
    test("the roster grows by an item's bytes and shrinks again without it", func() {
      let c = Samples.emptyCapsule();
      let item = group(10);
      assert Roster.put(c, #ConnectionGroup, c.groups, "group-1", item) == #Ok;
      assert c.roster_bytes == item.seal.record_bytes;
      Roster.drop(c, #ConnectionGroup, c.groups, "group-1");
      assert c.roster_bytes == 0;
    }),
    test("an item that replaces another counts for the difference", func() {
      let c = Samples.emptyCapsule();
      Roster.insert(c, #ConnectionGroup, c.groups, "group-1", group(50));
      assert Roster.growth(c.groups, "group-1", group(20)) == -30;
      Roster.insert(c, #ConnectionGroup, c.groups, "group-1", group(20));
      assert c.roster_bytes == group(20).seal.record_bytes;
    }),
    test("to drop what isn't there changes nothing", func() {
      let c = Samples.emptyCapsule();
      Roster.insert(c, #ConnectionGroup, c.groups, "group-1", group(1));
      Roster.drop(c, #ConnectionGroup, c.groups, "group-2");
      assert c.roster_bytes == group(1).seal.record_bytes;
    }),
    test("one item may have 500,000 bytes", func() {
      assert Roster.checkItem(groupOf(Limits.recordBytes)) == null;
      assert Roster.checkItem(groupOf(Limits.recordBytes + 1)) != null;
    }),
    test("all items together may have 1,950,000 bytes", func() {
      let c = Samples.emptyCapsule();
      c.roster_bytes := Limits.rosterBytes - 100;
      assert Roster.checkTotal(c, 100) == null;
      assert Roster.checkTotal(c, 101) != null;
    }),
    test("10,000 galleries fit, with ids as they are made here and a memory each", func() {
      let id = "gal-0123456789abcdef-0123456789abcdef0123456789abcdef";
      let sample = Samples.gallery();
      let memory_entries = [{ sample.memory_entries[0] with memory_id = id }];
      assert 10_000 * Seal.gallery({ sample with id; memory_entries }).seal.record_bytes <= Limits.rosterBytes;
    }),
    test("of connections with long names get_capsule shows those that fit its reply", func() {
      let c = Samples.emptyCapsule();
      let peer = #Opaque(Text.fromIter(Array.repeat('\u{e4}', 250).values()));
      let sealed = Seal.connection(Samples.connection(peer, #Accepted));
      assert MerkleTree.reserve(c.tree.nodes, 2_100) == #Ok;
      for (number in Nat.range(0, 2_100)) {
        Roster.insert(c, #Connection, c.connections, Nat.toText(number) # Persons.key(peer), sealed);
      };
      let reply = Capsules.view(c);
      assert c.roster_bytes < Limits.rosterBytes;
      assert reply.connections.size() < 2_100;
      let bytes = to_candid (reply);
      assert bytes.size() < 2_097_152 and bytes.size() > 1_900_000;
    }),
    test("a roster that is too large may still shrink", func() {
      let c = Samples.emptyCapsule();
      c.roster_bytes := Limits.rosterBytes + 1;
      assert Roster.checkTotal(c, 0) == null;
      assert Roster.checkTotal(c, -1) == null;
    }),
    test("what is refused isn't stored", func() {
      let c = Samples.emptyCapsule();
      c.roster_bytes := Limits.rosterBytes;
      assert Roster.put(c, #ConnectionGroup, c.groups, "group-1", group(1)) != #Ok;
      assert c.groups.isEmpty();
      assert c.roster_bytes == Limits.rosterBytes;
    }),
  ];
};
