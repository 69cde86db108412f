import Array "mo:core/Array";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Random "mo:core/Random";
import Set "mo:core/Set";
import { type Test; test; same } "../Test";
import Extents "../../capsule/Extents";

module {
  let most : Nat64 = 1_000_000_000;

  func given(space : Extents.Space, size : Nat64) : [Extents.Extent] {
    let ?extents = Extents.allocate(space, size, most) else return [];
    extents;
  };

  func place(space : Extents.Space, size : Nat64) : Text = debug_show (given(space, size).map(func e = (e.offset, e.size)));

  /// The books agree with the extents that are out: every byte is in one extent, in one hole, or behind the end.
  func check(space : Extents.Space, out : Map.Map<Nat, [Extents.Extent]>) {
    let edges = List.empty<(Nat64, Nat64)>();
    var taken : Nat64 = 0;
    for (extents in out.values()) {
      for ({ offset; size } in extents.values()) {
        edges.add((offset, size));
        taken += size;
      };
    };
    assert taken == space.taken;
    for ((offset, size) in space.holes.entries()) {
      edges.add((offset, size));
      assert offset + size < space.end;
    };
    assert space.holes.size() == space.by_size.size();
    var at : Nat64 = 0;
    var wasHole = false;
    for ((offset, size) in edges.toArray().sort(func(a, b) = Nat64.compare(a.0, b.0)).values()) {
      assert offset == at;
      let isHole = space.holes.get(offset) != null;
      assert not (isHole and wasHole);
      wasHole := isHole;
      at += size;
    };
    assert at == space.end;
  };

  /// Comes and goes as the seed says; the books are checked after each step, and the length after each growth.
  func life(seed : Nat64, steps : Nat, largest : Nat) {
    let random = Random.seed(seed);
    let space = Extents.empty();
    let out = Map.empty<Nat, [Extents.Extent]>();
    var pieces = 0;
    var step = 0;
    while (step < steps) {
      let before = space.end;
      if (random.natRange(0, 5) < 3 or out.size() == 0) {
        let extents = given(space, Nat64.fromNat(random.natRange(1, largest)));
        pieces += extents.size();
        out.add(step, extents);
        if (space.end > before) assert Extents.holeBytes(space) <= Extents.smallestPiece * Nat64.fromNat(pieces + 1);
      } else {
        let ?(key, extents) = out.entriesFrom(random.natRange(0, step)).next() else return life(seed + 1, steps, largest);
        pieces -= extents.size();
        out.remove(key);
        Extents.release(space, extents);
      };
      check(space, out);
      step += 1;
    };
    for (extents in out.values()) Extents.release(space, extents);
    assert (space.end, space.taken, space.holes.size()) == (0, 0, 0);
  };

  public func tests() : [Test] = [
    test("extents follow each other, rounded up", func() {
      let space = Extents.empty();
      same(place(space, 1), "[(0, 16)]");
      same(place(space, 33), "[(16, 48)]");
      assert (space.end, space.taken) == (64, 64);
    }),
    test("the smallest hole that is large enough is used", func() {
      let space = Extents.empty();
      let large = given(space, 64);
      ignore given(space, 16);
      let small = given(space, 32);
      ignore given(space, 16);
      Extents.release(space, large);
      Extents.release(space, small);
      same(place(space, 20), "[(80, 32)]");
      same(place(space, 16), "[(0, 16)]");
      same(place(space, 48), "[(16, 48)]");
      assert Extents.holeBytes(space) == 0;
    }),
    test("holes that touch become one", func() {
      let space = Extents.empty();
      let parts = Array.tabulate<[Extents.Extent]>(5, func _ = given(space, 16));
      Extents.release(space, parts[1]);
      Extents.release(space, parts[3]);
      Extents.release(space, parts[2]);
      assert space.holes.size() == 1;
      same(place(space, 48), "[(16, 48)]");
    }),
    test("a hole at the end makes the space shorter", func() {
      let space = Extents.empty();
      let first = given(space, 16);
      let second = given(space, 16);
      Extents.release(space, first);
      Extents.release(space, second);
      assert (space.end, space.taken, space.holes.size()) == (0, 0, 0);
    }),
    test("what fits into no hole is split over the largest, then the space grows", func() {
      let space = Extents.empty();
      let one = given(space, 4_096);
      ignore given(space, 16);
      let two = given(space, 8_192);
      ignore given(space, 16);
      Extents.release(space, one);
      Extents.release(space, two);
      same(place(space, 16_384), "[(4_112, 8_192), (0, 4_096), (12_320, 4_096)]");
      assert Extents.holeBytes(space) == 0;
    }),
    test("a hole below the smallest piece waits for something small", func() {
      let space = Extents.empty();
      let hole = given(space, 4_080);
      ignore given(space, 16);
      Extents.release(space, hole);
      same(place(space, 4_096), "[(4_096, 4_096)]");
      same(place(space, 4_080), "[(0, 4_080)]");
    }),
    test("what would be longer than allowed is refused and changes nothing", func() {
      let space = Extents.empty();
      let hole = given(space, 4_096);
      ignore given(space, 16);
      Extents.release(space, hole);
      assert Extents.allocate(space, 8_193, 8_208) == null;
      assert (space.end, space.taken, space.holes.size()) == (4_112, 16, 1);
      assert Extents.allocate(space, 8_192, 8_208) != null;
    }),
    test("the books hold through lives of small contents", func() {
      for (seed in ([1, 2, 3, 4] : [Nat64]).values()) life(seed, 300, 600);
    }),
    test("the books hold through lives of large contents", func() {
      for (seed in ([5, 6, 7, 8] : [Nat64]).values()) life(seed, 300, 100_000);
    }),
  ];
};
