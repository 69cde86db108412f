/// An import against the limits of its canister: batches are taken whole or not at all, and all that is pending counts.
import Array "mo:core/Array";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Timer "mo:core/Timer";
import { type Test; same; test } "../Test";
import Capsule "../../capsule/Types";
import Capsules "../../capsule/Capsules";
import Contents "../../capsule/Contents";
import Export "../../capsule/Export";
import Import "../../personal/Import";
import ImportContents "../../personal/ImportContents";
import ImportItems "../../personal/ImportItems";
import ImportState "../../personal/ImportState";
import Ownership "../../personal/Ownership";
import Quotas "../../capsule/Quotas";
import Samples "../Samples";
import Seal "../../capsule/Seal";
import Sha256 "../../capsule/sha256/Sha256";
import Store "../../capsule/Store";
import Types "../../personal/Types";

module {
  class Canister(total : Capsule.Usage) {
    public let store = Store.empty({ Quotas.personalLimits with person = total; total });
    public let state = ImportState.empty(store, Samples.owner(), Samples.owner(), null);

    public func put(items : [Capsule.ExportItem]) : Capsule.UnitResult {
      ImportItems.put(store, state, items, Samples.owner());
    };

    public func chunks(chunks : [Types.MemoryChunk]) : Capsule.UnitResult {
      ImportContents.putChunks(store, state, chunks);
    };

    public func used() : Capsule.Usage = store.books.total;

    /// That it holds nothing, and keeps no book of anything.
    public func isEmpty() : Bool {
      used() == Quotas.nothing and state.pending.isEmpty() and state.capsule.memories.isEmpty() and
      state.capsule.galleries.isEmpty() and state.staged_bytes == 0 and Contents.bytes(store.contents) == 0;
    };
  };

  /// One of the test canister's own.
  func admin() : Principal = Principal.fromBlob("admin\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\02");

  let roomy = Quotas.personalTotal;

  func memory(number : Nat, content : ?Store.Content) : Capsule.ExportItem {
    let id = "mem-" # Nat.toText(number);
    let record = Samples.memory(#Private, content);
    #Memory({ record with id; blob_ref = { record.blob_ref with locator = id } });
  };

  func gallery(number : Nat) : Capsule.ExportItem = #Gallery({ Samples.gallery() with id = "gal-" # Nat.toText(number) });

  func described(number : Nat, chars : Nat) : Capsule.ExportItem {
    let description = ?Text.fromIter(Array.repeat('x', chars).values());
    #Gallery({ Samples.gallery() with id = "gal-" # Nat.toText(number); description });
  };

  func chunk(index : Nat, size : Nat) : Types.MemoryChunk {
    let bytes = Text.encodeUtf8(Text.fromIter(Array.repeat('x', size).values()));
    { memory_id = "mem-1"; index = Nat32.fromNat(index); bytes; sha256 = Sha256.hash(bytes) };
  };

  func refused(result : Capsule.UnitResult, expected : Text, limit : Nat, actual : Nat) : Bool {
    result == #Err(#LimitExceeded { what = expected; limit; actual });
  };

  public func tests() : [Test] = [
    test("a batch of items that are too many is refused whole", func() {
      let canister = Canister({ roomy with memories = 2 });
      let three = [memory(1, null), memory(2, null), memory(3, null)];
      assert refused(canister.put three, "memories of all", 2, 3) and canister.isEmpty();
      assert canister.put([memory(1, null), memory(2, null)]) == #Ok;
      assert canister.put([memory(1, null), memory(2, null)]) == #Ok; // the same again
      assert refused(canister.put([gallery 1, memory(3, null)]), "memories of all", 2, 3);
      assert canister.state.capsule.galleries.isEmpty();
    }),
    test("an item that comes more than once in a batch counts once, as it is in the end", func() {
      let canister = Canister({ roomy with galleries = 3; record_bytes = 8_000 });
      assert canister.put([described(1, 5_000)]) == #Ok;
      let before = canister.used();
      let batch = [gallery 1, gallery 1, described(2, 5_000), described(3, 5_000)];
      let #Err(#LimitExceeded { what; actual }) = canister.put batch else return assert false;
      assert what == "bytes of records of all" and actual > 10_000 and canister.used() == before;
      assert canister.put([described(1, 5_000), gallery 1, gallery 2, gallery 3]) == #Ok;
      assert canister.used().record_bytes == canister.state.capsule.roster_bytes + 3 * 200;
      assert canister.put([described(1, 5_000), described(1, 5_000)]) == #Ok and canister.used().galleries == 3;
    }),
    test("a batch of galleries that are too many is refused whole", func() {
      let canister = Canister({ roomy with galleries = 1 });
      assert refused(canister.put([memory(1, null), gallery 1, gallery 2]), "galleries of all", 1, 2);
      assert canister.isEmpty();
    }),
    test("a batch of records that are too large is refused whole", func() {
      let canister = Canister({ roomy with record_bytes = 1_000 });
      let items = Array.tabulate<Capsule.ExportItem>(20, func number = memory(number, null));
      switch (canister.put items) {
        case (#Err(#LimitExceeded { what = "bytes of records of all"; limit = 1_000; actual })) assert actual > 1_000;
        case _ assert false;
      };
      assert canister.isEmpty();
    }),
    test("a memory that waits for its bytes counts, and once only when they have come", func() {
      let canister = Canister roomy;
      let content = Seal.content(3, 2, [piece "ab", piece "c"]);
      assert canister.put([memory(1, ?content)]) == #Ok;
      assert canister.used().memories == 1 and canister.used().record_bytes > 0;
      assert canister.state.pending.containsKey("mem-1");
      assert canister.chunks([part(0, "ab"), part(1, "c")]) == #Ok;
      let before = canister.used();
      assert before.content_bytes == 32;
      let manifest = Export.memoryManifest("mem-1", content);
      assert ImportContents.commit(canister.store, canister.state, [manifest]) == #Ok;
      assert canister.used() == before and canister.state.pending.isEmpty();
      assert ImportItems.remove(canister.store, canister.state, [{ kind = #Memory; id = "mem-1" }]) == #Ok;
      assert canister.isEmpty();
    }),
    test("a batch of chunks that are too large is refused whole", func() {
      let canister = Canister({ roomy with content_bytes = 48 });
      let three = [chunk(0, 16), chunk(1, 17), chunk(2, 1)];
      assert refused(canister.chunks three, "bytes of contents of all", 48, 64) and canister.isEmpty();
      assert canister.chunks([chunk(0, 16), chunk(1, 17)]) == #Ok;
      assert canister.used().content_bytes == 48 and Contents.bytes(canister.store.contents) == 48;
      assert ImportItems.remove(canister.store, canister.state, [{ kind = #Memory; id = "mem-1" }]) == #Ok;
      assert canister.isEmpty();
    }),
    test("a batch of many small chunks is limited by what the heap needs for them", func() {
      let canister = Canister({ roomy with record_bytes = 250 });
      assert refused(canister.chunks([chunk(0, 1), chunk(1, 1), chunk(2, 1)]), "bytes of records of all", 250, 300);
      assert canister.isEmpty() and canister.chunks([chunk(0, 1), chunk(1, 1)]) == #Ok;
    }),
    test("at the heap's limit an import takes nothing, removes, and lets people add nothing", func() {
      let canister = Canister roomy;
      assert canister.put([memory(1, null)]) == #Ok;
      canister.store.books.limits := { Quotas.personalLimits with heap_bytes = 1 };
      let controller = admin();
      let imports = Import.Import(
        canister.store,
        canister.state,
        {
          owner = Samples.owner;
          backend = func() = controller;
          name = null;
          self = func() = controller;
          isOpen = func() = false;
          refusal = func() = null;
        },
      );
      let #Ok { id } = imports.begin(controller, 1) else return assert false;
      let before = canister.used();
      for (refused in [
        imports.putItems(controller, id, [memory(2, null)], 1),
        imports.putChunks(controller, id, [chunk(0, 1)], 1),
        imports.commit(controller, id, [], 1),
      ].values()) {
        let #Err(#LimitExceeded { what; limit; actual }) = refused else return assert false;
        assert what == "bytes of this canister's heap" and limit == 1 and actual > 1;
      };
      assert canister.used() == before;
      assert imports.removeItems(controller, id, [{ kind = #Memory; id = "mem-1" }], 1) == #Ok and canister.isEmpty();
      let maintenance = { wasOpen = false; var isOn = false; var timer : ?Timer.TimerId = null };
      let host = Ownership.host(Ownership.title({ owner = Samples.owner(); backend = admin() }), canister.store, canister.state, maintenance);
      assert host.refuseGrowth() != null;
      canister.store.books.limits := Quotas.personalLimits;
      assert host.refuseGrowth() == null;
    }),
    test("the capsule counts once, with its events and executors", func() {
      let canister = Canister roomy;
      for (count in ([1, 2, 0] : [Nat32]).values()) {
        let n = Nat32.toNat(count);
        let record = {
          Capsules.record(Samples.emptyCapsule()) with
          events = Array.tabulate<Capsule.RecordedEvent>(n, func i = eventOf(Nat32.fromNat(i)));
          executors = Array.tabulate<Capsule.Executor>(n, func i = executorOf("executor" # Nat.toText(i)));
        };
        assert canister.put([#Capsule record]) == #Ok;
        assert canister.used().capsules == 1 and canister.used().record_bytes == 1_000 + 10_100 * n;
      };
    }),
    test("a capsule that has something twice isn't taken", func() {
      let canister = Canister roomy;
      let record = Capsules.record(Samples.emptyCapsule());
      let wait : Capsule.EventWait = { kind = #AfterDeath; wait_ns = 86_400_000_000_000 };
      let twice : [(Text, Capsule.CapsuleRecord)] = [
        ("events", { record with events = [eventOf 1, { eventOf 1 with opens_at = 2 : Nat64 }] }),
        ("executors", { record with executors = [executorOf "them", { executorOf "them" with named_at = 2 : Nat64 }] }),
        ("event_waits", { record with event_waits = [wait, { wait with wait_ns = 2 * wait.wait_ns }] }),
      ];
      for ((wanted, capsule) in twice.values()) {
        let #Err(#InvalidArgument { field }) = canister.put([#Capsule capsule]) else return assert false;
        same(field, wanted);
      };
      assert canister.isEmpty();
    }),
  ];

  func eventOf(years : Nat32) : Capsule.RecordedEvent {
    { event = #Birthday years; recorded_at = 1; recorded_by = Samples.owner(); opens_at = 1 };
  };

  func executorOf(name : Text) : Capsule.Executor {
    { person = Principal.fromBlob(name.encodeUtf8()); named_at = 1; named_by = Samples.owner() };
  };

  func piece(bytes : Blob) : Store.Chunk = {
    offset = 0;
    parts = null;
    size = bytes.size();
    sha256 = Sha256.hash(bytes);
  };

  func part(index : Nat32, bytes : Blob) : Types.MemoryChunk {
    { memory_id = "mem-1"; index; bytes; sha256 = Sha256.hash(bytes) };
  };
};
