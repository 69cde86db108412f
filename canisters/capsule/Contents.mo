/// The bytes of contents, in a region of stable memory: chunks are stored, read and taken away. Owns the region and its
/// books (`Extents`); which chunks there are is the business of those who hold them (memories, uploads, imports), and each
/// of them gives its chunks back.
///
/// A chunk is hashed once, from the bytes that were read back after they were stored.
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Region "mo:core/Region";
import Set "mo:core/Set";
import Extents "Extents";
import Limits "Limits";
import Sha256 "sha256/Sha256";
import Types "Types";
import Validate "Validate";

module {
  /// Where bytes are: in one extent at `offset`, or in those of `parts`, the first of which is there.
  type Place = { offset : Nat64; size : Nat; parts : ?[Extents.Extent] };

  /// Stored bytes, and what their SHA-256 was when they were stored.
  public type Chunk = Place and { sha256 : Blob };

  public type Contents = {
    region : Region.Region;
    space : Extents.Space;
    /// Where slabs begin: parts of the region that are no contents (`Slabs`).
    slabs : List.List<Nat64>;
  };

  /// The length of a slab: what the allocator never splits.
  public let slabBytes : Nat64 = Extents.smallestPiece;

  /// What `audit` finds, in bytes but for the counts.
  public type Books = {
    chunks : Nat64;
    extents : Nat64;
    held_bytes : Nat64;
    taken_bytes : Nat64;
    slab_bytes : Nat64;
    free_bytes : Nat64;
    region_bytes : Nat64;
    consistent : Bool;
  };

  let pageBytes : Nat64 = 65_536;
  let refused : Nat64 = 0xFFFF_FFFF_FFFF_FFFF;
  /// Behind the last extent there is always room for a chunk that is put together or taken apart.
  let benchBytes : Nat64 = 2_097_152;

  /// An empty region.
  public func empty() : Contents = { region = Region.new(); space = Extents.empty(); slabs = List.empty() };

  /// Bytes of chunks that are stored, rounded up as they are stored.
  public func bytes(contents : Contents) : Nat64 = contents.space.taken - bytesOfSlabs(contents);

  /// Bytes of all slabs.
  func bytesOfSlabs({ slabs } : Contents) : Nat64 = Nat64.fromNat(slabs.size()) * slabBytes;

  /// The region's length in bytes. It never becomes shorter.
  public func regionBytes(contents : Contents) : Nat64 = Region.size(contents.region) * pageBytes;

  // ---- Storing ----

  /// Makes the region long enough for all extents and the bench behind them.
  func reserve(contents : Contents) : Bool {
    let pages = (contents.space.end + benchBytes + pageBytes - 1) / pageBytes;
    let there = Region.size(contents.region);
    pages <= there or Region.grow(contents.region, pages - there) != refused;
  };

  /// `LimitExceeded`: there is no room for so many bytes more.
  public func checkRoom(contents : Contents, size : Nat64) : Validate.Problem = checkChange(contents, size, 0);

  /// The same, where `freed` bytes go afterwards. What doesn't become more is never refused.
  func checkChange(contents : Contents, size : Nat64, freed : Nat64) : Validate.Problem {
    if (size <= freed) return null;
    // Not as Nat64: somebody may ask for 2^64 - 1 bytes.
    let actual = Nat64.toNat(bytes(contents)) + Nat64.toNat(size - freed);
    Validate.most("bytes of all contents", Limits.contentBytes, actual);
  };

  func noMemory(limit : Nat64, wanted : Nat64) : Types.CapsuleError = #LimitExceeded {
    what = "bytes of stable memory that this canister can get";
    limit = Nat64.toNat(limit);
    actual = Nat64.toNat(wanted);
  };

  func allocate(contents : Contents, size : Nat64) : Types.Result<[Extents.Extent]> {
    let ?extents = Extents.allocate(contents.space, size, Limits.regionBytes) else {
      return #Err(noMemory(Limits.regionBytes, contents.space.end + size));
    };
    if (reserve(contents)) return #Ok extents;
    let problem = noMemory(regionBytes(contents), contents.space.end);
    Extents.release(contents.space, extents);
    #Err problem;
  };

  /// Makes a slab, for good, and says where it begins. `LimitExceeded`: there is no room.
  public func addSlab(contents : Contents) : Types.Result<Nat64> = switch (allocate(contents, slabBytes)) {
    case (#Err problem) #Err problem;
    case (#Ok extents) {
      // One extent: a hole that is smaller than a slab is never a piece.
      contents.slabs.add(extents[0].offset);
      #Ok(extents[0].offset);
    };
  };

  /// Stores a chunk, reads it back and hashes what was read. `LimitExceeded`: there is no room.
  public func store(contents : Contents, bytes : Blob) : Types.Result<Chunk> = storeInstead(contents, bytes, []);

  /// The same, where chunks will go that the new one replaces; until the caller releases them, both are there. The region has
  /// room for that beside all contents.
  public func storeInstead(contents : Contents, bytes : Blob, old : [Chunk]) : Types.Result<Chunk> {
    let size = bytes.size();
    var freed : Nat64 = 0;
    for (chunk in old.values()) freed += Extents.rounded(Nat64.fromNat(chunk.size));
    switch (checkChange(contents, Extents.rounded(Nat64.fromNat(size)), freed)) {
      case null {};
      case (?problem) return #Err problem;
    };
    let extents = switch (allocate(contents, Nat64.fromNat(size))) {
      case (#Ok found) found;
      case (#Err problem) return #Err problem;
    };
    let place = { offset = extents[0].offset; size; parts = if (extents.size() == 1) null else ?extents };
    Region.storeBlob(contents.region, if (place.parts == null) place.offset else contents.space.end, bytes);
    fromBench(contents, place);
    #Ok { place with sha256 = Sha256.hash(load(contents, place)) };
  };

  // What is in several extents is put together, and taken apart, behind the end of the space: bytes between two places of
  // the region pass the heap as whole blobs, and only there a part of one can be had cheaply.

  func fromBench(contents : Contents, place : Place) {
    let bench = contents.space.end;
    eachPart(place, func(at, offset, length) {
      Region.storeBlob(contents.region, offset, Region.loadBlob(contents.region, bench + at, length));
    });
  };

  func toBench(contents : Contents, place : Place) {
    let bench = contents.space.end;
    eachPart(place, func(at, offset, length) {
      Region.storeBlob(contents.region, bench + at, Region.loadBlob(contents.region, offset, length));
    });
  };

  /// Each part of what is in several extents: where it begins in the whole, where in the region, and its length.
  func eachPart({ size; parts } : Place, each : (Nat64, Nat64, Nat) -> ()) {
    let ?extents = parts else return;
    var at : Nat64 = 0;
    let all = Nat64.fromNat(size);
    for (extent in extents.values()) {
      let length = Nat64.min(extent.size, all - at);
      each(at, extent.offset, Nat64.toNat(length));
      at += length;
    };
  };

  func extentsOf({ offset; size; parts } : Place) : [Extents.Extent] = switch parts {
    case (?extents) extents;
    case null [{ offset; size = Extents.rounded(Nat64.fromNat(size)) }];
  };

  /// Takes chunks away.
  public func release(contents : Contents, chunks : [Chunk]) {
    for (chunk in chunks.values()) Extents.release(contents.space, extentsOf(chunk));
  };

  // ---- Reading ----

  /// The chunk's bytes as they are now, not compared with their hash.
  func load(contents : Contents, place : Place) : Blob {
    toBench(contents, place);
    Region.loadBlob(contents.region, if (place.parts == null) place.offset else contents.space.end, place.size);
  };

  /// Whether the chunk is just these bytes. `ChecksumMismatch`: it is damaged.
  public func holds(contents : Contents, chunk : Chunk, what : Text, bytes : Blob) : Types.Result<Bool> {
    if (load(contents, chunk) == bytes) return #Ok true;
    switch (read(contents, chunk, what)) { case (#Ok _) #Ok false; case (#Err problem) #Err problem };
  };

  /// The chunk's bytes; `what` says in an error which it is. `ChecksumMismatch`: they aren't what was stored.
  public func read(contents : Contents, chunk : Chunk, what : Text) : Types.Result<Blob> {
    let bytes = load(contents, chunk);
    let actual = Sha256.hash(bytes);
    if (actual == chunk.sha256) #Ok bytes else #Err(#ChecksumMismatch {
      what = "the stored " # what;
      expected = chunk.sha256;
      actual;
    });
  };

  // ---- Books ----

  /// Compares the books with what is held: `chunks` are all of those that somebody holds. Every byte before the end must be
  /// in one extent or in one hole.
  public func audit(contents : Contents, chunks : Iter.Iter<Chunk>) : Books {
    let { holes; by_size } = contents.space;
    let (end, taken) = (contents.space.end, contents.space.taken);
    let parts = holes.clone();
    var free : Nat64 = 0;
    for (size in holes.values()) free += size;
    var held : Nat64 = 0;
    var count : Nat64 = 0;
    var extents : Nat64 = 0;
    for (chunk in chunks) {
      count += 1;
      for ({ offset; size } in extentsOf(chunk).values()) {
        extents += 1;
        held += size;
        parts.add(offset, size);
      };
    };
    for (offset in contents.slabs.values()) parts.add(offset, slabBytes);
    let slabs = bytesOfSlabs(contents);
    var at : Nat64 = 0;
    var whole = holes.size() == by_size.size();
    for ((offset, size) in parts.entries()) {
      if (offset != at) whole := false;
      at := offset + size;
    };
    {
      chunks = count;
      extents;
      held_bytes = held;
      taken_bytes = taken;
      slab_bytes = slabs;
      free_bytes = free;
      region_bytes = regionBytes(contents);
      consistent = whole and at == end and held + slabs == taken and taken + free == end;
    };
  };
};
