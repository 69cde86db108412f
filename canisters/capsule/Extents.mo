/// Which bytes of a growing space are taken: extents are given out and taken back. Owns the books (the holes, by place and
/// by size, and the end); not the bytes themselves (`Contents`).
///
/// A hole is used as soon as something fits: the smallest that is large enough; else what is wanted is split over the
/// largest holes. Only what no hole of at least `smallestPiece` bytes can take makes the space longer, so right after it
/// grew its length is at most what is taken and `smallestPiece` for each extent: however often contents come and go.
import List "mo:core/List";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Order "mo:core/Order";
import Set "mo:core/Set";

module {
  /// Bytes from `offset`. Both are multiples of `granule`.
  public type Extent = { offset : Nat64; size : Nat64 };

  public type Space = {
    /// The holes' sizes by their offsets. No two touch each other, none touches the end.
    holes : Map.Map<Nat64, Nat64>;
    /// The same holes as pairs of size and offset.
    by_size : Set.Set<(Nat64, Nat64)>;
    /// Behind the last byte that is taken.
    var end : Nat64;
    /// Bytes that are taken.
    var taken : Nat64;
  };

  /// What extents are rounded up to, so that contents of odd sizes leave holes that others fit in.
  public let granule : Nat64 = 16;
  /// A smaller hole isn't worth a piece of its own.
  public let smallestPiece : Nat64 = 4_096;

  /// Nothing is taken.
  public func empty() : Space = { holes = Map.empty(); by_size = Set.empty(); var end = 0; var taken = 0 };

  func compareHoles(a : (Nat64, Nat64), b : (Nat64, Nat64)) : Order.Order = switch (Nat64.compare(a.0, b.0)) {
    case (#equal) Nat64.compare(a.1, b.1);
    case different different;
  };

  /// What `size` bytes take.
  public func rounded(size : Nat64) : Nat64 = (size + granule - 1) / granule * granule;

  // ---- Holes ----

  func addHole(space : Space, offset : Nat64, size : Nat64) {
    space.holes.add(offset, size);
    space.by_size.add(compareHoles, (size, offset));
  };

  func removeHole(space : Space, offset : Nat64, size : Nat64) {
    space.holes.remove(offset);
    space.by_size.remove(compareHoles, (size, offset));
  };

  /// Takes the first `size` bytes of a hole.
  func takeFrom(space : Space, hole : (Nat64, Nat64), size : Nat64) : Extent {
    let (holeSize, offset) = hole;
    removeHole(space, offset, holeSize);
    if (size < holeSize) addHole(space, offset + size, holeSize - size);
    { offset; size };
  };

  // ---- Giving out and taking back ----

  /// Extents for `size` bytes, in the order in which the bytes go into them. Null, and nothing changed, if the space would
  /// become longer than `most` bytes.
  public func allocate(space : Space, size : Nat64, most : Nat64) : ?[Extent] {
    let extents = List.empty<Extent>();
    var wanted = rounded(size);
    space.taken += wanted;
    while (wanted > 0) {
      let extent = switch (space.by_size.valuesFrom(compareHoles, (wanted, 0 : Nat64)).next()) {
        case (?fitting) takeFrom(space, fitting, wanted);
        case null switch (space.by_size.max()) {
          case (?(largest, offset)) if (largest >= smallestPiece) takeFrom(space, (largest, offset), largest) else lengthen(
            space,
            wanted,
          );
          case null lengthen(space, wanted);
        };
      };
      extents.add(extent);
      wanted -= extent.size;
    };
    let given = extents.toArray();
    if (space.end <= most) return ?given;
    release(space, given);
    null;
  };

  func lengthen(space : Space, size : Nat64) : Extent {
    let offset = space.end;
    space.end += size;
    { offset; size };
  };

  /// Takes back what was given out.
  public func release(space : Space, extents : [Extent]) {
    for ({ offset; size } in extents.values()) {
      space.taken -= size;
      var from = offset;
      var to = offset + size;
      switch (space.holes.reverseEntriesFrom(from).next()) {
        case (?(before, length)) if (before + length == from) {
          removeHole(space, before, length);
          from := before;
        };
        case null {};
      };
      switch (space.holes.get(to)) {
        case (?length) {
          removeHole(space, to, length);
          to += length;
        };
        case null {};
      };
      if (to == space.end) space.end := from else addHole(space, from, to - from);
    };
  };

  /// Bytes of all holes.
  public func holeBytes(space : Space) : Nat64 = space.end - space.taken;
};
