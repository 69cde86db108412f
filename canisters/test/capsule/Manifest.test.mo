import Array "mo:core/Array";
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import { type Test; same; test } "../Test";
import Manifest "../../capsule/Manifest";
import Roster "../../capsule/Roster";
import Samples "../Samples";
import Seal "../../capsule/Seal";
import Store "../../capsule/Store";
import Types "../../capsule/Types";
import Verification "../../backend/Verification";

module {
  func self() : Principal = Principal.fromBlob("\01\02");

  // Computed by tests/support/personal_world.py from the definition in the contracts; a test there compares them.
  let emptyHash = "0b533bada200be521b55017f8fdd005c0a90673964fb841dcb99c6b9c066b2d6";
  let sampleHash = "f3d3973f2e1ab611a3429915f88f7f904c9ef0f19f7ca31eb1efd385a6516caf";

  func hashOf(capsule : Store.Capsule) : Text = Verification.hex(Manifest.take(capsule, self(), 0).manifest_hash);

  func enterMemory(capsule : Store.Capsule, access : Types.MemoryAccess, content : ?Store.Content) {
    Seal.enter(capsule, #Memory, "mem-1", Seal.memory(Samples.memory(access, null), content), content);
  };

  /// The ids of all entries, page by page; a bar ends a page.
  func pages(capsule : Store.Capsule, limit : Nat32) : Text {
    let ids = List.empty<Text>();
    var after : ?Types.ItemRef = null;
    loop {
      let page = Manifest.entries(capsule, after, ?limit);
      ids.add(Text.join(page.entries.values().map(func entry = entry.id), " "));
      if (page.next == null) return Text.join(ids.values(), " | ");
      after := page.next;
    };
  };

  public func tests() : [Test] = [
    test("the hash of a capsule that has yet to be imported is that of the scheme", func() {
      same(hashOf(Store.newCapsule(Samples.store(), "", Samples.owner(), #Principal(Samples.owner()), 0)), emptyHash);
    }),
    test("the hash of a capsule with an item of each kind is what Python computes", func() {
      same(hashOf(Samples.capsule()), sampleHash);
    }),
    test("the hash depends on every item", func() {
      let changes : [Store.Capsule -> ()] = [
        func c = c.updated_at += 1,
        func c = Seal.leave(c, #Memory, "mem-1"),
        func c = enterMemory(c, #Public, ?Samples.content()),
        func c = enterMemory(c, #Private, null),
        func c = Seal.enter(c, #Gallery, "gal-1", Seal.gallery({ Samples.gallery() with title = "Winter" }).seal, null),
        func c = Roster.drop(c, #Connection, c.connections, "opaque:Bob"),
        func c = Seal.enter(c, #ConnectionGroup, "group-1", Seal.group(Samples.group("group-1", [])).seal, null),
      ];
      let hashes = changes.map(func change { let c = Samples.capsule(); change c; hashOf c });
      for (hash in hashes.values()) { assert hash != sampleHash };
      assert hashes.filter(func hash = hashes.filter(func other = other == hash).size() > 1).size() == 0;
    }),
    test("the items of capsules are compared with their trees", func() {
      let c = Samples.capsule();
      assert Manifest.areTrue(c.tree.nodes, [c].values());
      c.memories.remove("mem-1");
      assert not Manifest.areTrue(c.tree.nodes, [c].values());
      Seal.leave(c, #Memory, "mem-1");
      assert Manifest.areTrue(c.tree.nodes, [c].values());
      Seal.enter(c, #Gallery, "gal-1", Seal.gallery({ Samples.gallery() with title = "Winter" }).seal, null);
      assert not Manifest.areTrue(c.tree.nodes, [c].values());
      assert not Manifest.areTrue(c.tree.nodes, Iter.empty());
    }),
    test("revision, time and place of the manifest are beside the hash", func() {
      let c = Samples.capsule();
      c.revision := 7;
      let { revision; taken_at; origin; manifest_hash } = Manifest.take(c, Samples.owner(), 9);
      assert revision == 7 and taken_at == 9 and origin == Samples.owner();
      same(Verification.hex(manifest_hash), sampleHash);
    }),
    test("a manifest counts the items and the bytes", func() {
      let found = Manifest.take(Samples.capsule(), self(), 0);
      same(debug_show (found.memories, found.galleries, found.connections, found.connection_groups), "(1, 1, 1, 1)");
      assert found.content_size == 3 and found.capsule_id == "cap-1";
    }),
    test("entries come in the manifest's order, on as many pages as asked for", func() {
      let c = Samples.capsule();
      same(pages(c, 10), "cap-1 mem-1 gal-1 opaque:Bob group-1");
      same(pages(c, 2), "cap-1 mem-1 | gal-1 opaque:Bob | group-1");
      same(pages(c, 1), "cap-1 | mem-1 | gal-1 | opaque:Bob | group-1");
      same(pages(c, 5), "cap-1 mem-1 gal-1 opaque:Bob group-1");
    }),
    test("an entry after one that was deleted is found", func() {
      let { entries } = Manifest.entries(Samples.capsule(), ?{ kind = #Memory; id = "mem-0" }, ?1);
      same(debug_show (entries.map(func entry = entry.id)), "[\"mem-1\"]");
    }),
    test("a memory's entry says what its content is", func() {
      let entry = Manifest.entries(Samples.capsule(), ?{ kind = #Capsule; id = "cap-1" }, ?1).entries[0];
      same(debug_show (entry.kind, entry.size, entry.chunk_size, entry.total_chunks), "(#Memory, 3, 2, 2)");
      assert entry.content_checksum == ?Samples.content().checksum;
    }),
  ];
};
