/// The bytes of contents, in a region of stable memory: chunks are stored, read and taken away. Owns the region and its
/// books (`Extents`); which chunks there are is the business of those who hold them (memories, uploads, imports), and each
/// of them gives its chunks back.
///
/// A chunk is hashed once, from the bytes that were read back after they were stored.
import Nat64 "mo:core/Nat64";
import Region "mo:core/Region";
import Extents "Extents";
import Limits "Limits";
import Sha256 "sha256/Sha256";
import Types "Types";

module {
  /// Where bytes are, and what they were when they were stored.
  public type Chunk = { extents : [Extents.Extent]; size : Nat; sha256 : Blob };

  public type Contents = {
    region : Region.Region;
    space : Extents.Space;
  };

  let pageBytes : Nat64 = 65_536;
  let refused : Nat64 = 0xFFFF_FFFF_FFFF_FFFF;
  /// Behind the last extent there is always room for a chunk that is put together or taken apart.
  let benchBytes : Nat64 = 2_097_152;

  /// An empty region.
  public func empty() : Contents = { region = Region.new(); space = Extents.empty() };

  /// Bytes of chunks that are stored, rounded up as they are stored.
  public func bytes(contents : Contents) : Nat64 = contents.space.taken;

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
  public func checkRoom(contents : Contents, size : Nat64) : ?Types.CapsuleError {
    let actual = contents.space.taken + size;
    if (actual <= Limits.contentBytes) null else ?#LimitExceeded {
      what = "bytes of all contents";
      limit = Nat64.toNat(Limits.contentBytes);
      actual = Nat64.toNat(actual);
    };
  };

  func noMemory(contents : Contents) : Types.CapsuleError = #LimitExceeded {
    what = "bytes of stable memory that this canister can get";
    limit = Nat64.toNat(regionBytes(contents));
    actual = Nat64.toNat(contents.space.end);
  };

  /// Stores a chunk, reads it back and hashes what was read. `LimitExceeded`: there is no room.
  public func store(contents : Contents, bytes : Blob) : Types.Result<Chunk> {
    let size = bytes.size();
    switch (checkRoom(contents, Nat64.fromNat(size))) { case null {}; case (?problem) return #Err problem };
    let ?extents = Extents.allocate(contents.space, Nat64.fromNat(size), Limits.regionBytes) else {
      return #Err(noMemory contents);
    };
    if (not reserve(contents)) {
      let problem = noMemory contents;
      Extents.release(contents.space, extents);
      return #Err problem;
    };
    if (extents.size() == 1) Region.storeBlob(contents.region, extents[0].offset, bytes) else {
      let bench = contents.space.end;
      Region.storeBlob(contents.region, bench, bytes);
      pieces(extents, size, func(at, offset, length) {
        Region.storeBlob(contents.region, offset, Region.loadBlob(contents.region, bench + at, length));
      });
    };
    let stored = { extents; size; sha256 = "" : Blob };
    #Ok({ stored with sha256 = Sha256.hash(load(contents, stored)) });
  };

  /// Each piece of `size` bytes: its place in the chunk, its place in the region, its length.
  func pieces(extents : [Extents.Extent], size : Nat, each : (Nat64, Nat64, Nat) -> ()) {
    var at : Nat64 = 0;
    let all = Nat64.fromNat(size);
    for (extent in extents.values()) {
      let length = Nat64.min(extent.size, all - at);
      each(at, extent.offset, Nat64.toNat(length));
      at += length;
    };
  };

  /// Takes chunks away.
  public func release(contents : Contents, chunks : [Chunk]) {
    for ({ extents } in chunks.values()) Extents.release(contents.space, extents);
  };

  // ---- Reading ----

  /// The chunk's bytes as they are now, not compared with their hash.
  public func load(contents : Contents, chunk : Chunk) : Blob {
    if (chunk.extents.size() == 1) return Region.loadBlob(contents.region, chunk.extents[0].offset, chunk.size);
    let bench = contents.space.end;
    pieces(chunk.extents, chunk.size, func(at, offset, length) {
      Region.storeBlob(contents.region, bench + at, Region.loadBlob(contents.region, offset, length));
    });
    Region.loadBlob(contents.region, bench, chunk.size);
  };

  /// The chunk's bytes. `ChecksumMismatch`: they aren't what was stored.
  public func read(contents : Contents, chunk : Chunk) : Types.Result<Blob> {
    let bytes = load(contents, chunk);
    let actual = Sha256.hash(bytes);
    if (actual == chunk.sha256) #Ok bytes else #Err(#ChecksumMismatch {
      what = "a stored chunk";
      expected = chunk.sha256;
      actual;
    });
  };
};
