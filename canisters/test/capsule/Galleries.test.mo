/// How many entries of galleries name a memory that isn't there: counted as galleries and memories come and go.
import Array "mo:core/Array";
import Map "mo:core/Map";
import Text "mo:core/Text";
import { type Test; same; test } "../Test";
import Galleries "../../capsule/Galleries";
import Memories "../../capsule/Memories";
import Quotas "../../capsule/Quotas";
import Samples "../Samples";
import Seal "../../capsule/Seal";
import Store "../../capsule/Store";

module {
  func capsuleIn(store : Store.Store) : Store.Capsule {
    Store.newCapsule(store, "cap-1", Samples.owner(), #Principal(Samples.owner()), 0);
  };

  func put(store : Store.Store, capsule : Store.Capsule, id : Text, memories : [Text]) {
    let entry = Samples.gallery().memory_entries[0];
    let memory_entries = memories.map(func memory_id = { entry with memory_id });
    Galleries.insert(store, capsule, Seal.gallery({ Samples.gallery() with id; memory_entries }));
  };

  func add(store : Store.Store, capsule : Store.Capsule, id : Text) {
    Memories.insert(store, capsule, Seal.memory({ Samples.memory(#Private, null) with id }, null));
  };

  /// The count, and what it says.
  func told(capsule : Store.Capsule) : Text = debug_show (capsule.dangling, Galleries.dangling(capsule));

  public func tests() : [Test] = [
    test("an entry dangles until its memory comes, and again when that goes", func() {
      let store = Samples.store();
      let c = capsuleIn(store);
      same(told c, "(0, null)");
      put(store, c, "gal-1", ["mem-a", "mem-b", "mem-a"]);
      same(told c, "(2, ?(\"gal-1\", \"mem-a\"))");
      add(store, c, "mem-a");
      same(told c, "(1, ?(\"gal-1\", \"mem-b\"))");
      add(store, c, "mem-a"); // changed
      add(store, c, "mem-b");
      same(told c, "(0, null)");
      Memories.drop(store, c, "mem-a");
      Memories.drop(store, c, "mem-a"); // not there
      same(told c, "(1, ?(\"gal-1\", \"mem-a\"))");
    }),
    test("an entry dangles no more when its gallery names others, or goes", func() {
      let store = Samples.store();
      let c = capsuleIn(store);
      add(store, c, "mem-a");
      put(store, c, "gal-1", ["mem-a", "mem-b"]);
      put(store, c, "gal-2", ["mem-c"]);
      same(told c, "(2, ?(\"gal-1\", \"mem-b\"))");
      put(store, c, "gal-1", ["mem-a"]);
      same(told c, "(1, ?(\"gal-2\", \"mem-c\"))");
      Galleries.drop(store, c, "gal-2");
      same(told c, "(0, null)");
    }),
    test("a memory that is deleted with its entries leaves none that dangles", func() {
      let store = Samples.store();
      let c = capsuleIn(store);
      for (id in ["mem-a", "mem-b"].values()) add(store, c, id);
      put(store, c, "gal-1", ["mem-a", "mem-b"]);
      put(store, c, "gal-2", ["mem-a"]);
      Memories.delete(store, c, "mem-a", 1);
      same(told c, "(0, null)");
      assert c.galleries.size() == 2;
    }),
  ];
};
