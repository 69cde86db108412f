/// Records of one size in stable memory, in the region of the contents: given out, taken back, never moved. Owns which
/// records are free; not what is in them. Space for records comes in slabs, which are used again but never given back.
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Region "mo:core/Region";
import Runtime "mo:core/Runtime";
import Contents "Contents";
import Extents "Extents";
import Types "Types";

module {
  /// Where a record is: its offset in the region, in units of `Extents.granule` bytes.
  public type Place = Nat32;

  public type Slabs = {
    contents : Contents.Contents;
    /// Bytes of a record: a multiple of `Extents.granule`.
    record_bytes : Nat64;
    /// The first free record, whose first bytes say where the next one is; of any value when none is free.
    var free : Place;
    var free_count : Nat;
    /// How many slabs there are.
    var slabs : Nat;
  };

  /// No records.
  public func empty(contents : Contents.Contents, recordBytes : Nat64) : Slabs {
    { contents; record_bytes = recordBytes; var free = 0; var free_count = 0; var slabs = 0 };
  };

  /// Where the record begins in the region.
  public func offset(place : Place) : Nat64 = Nat64.fromNat32(place) * Extents.granule;

  func perSlab(slabs : Slabs) : Nat = Nat64.toNat(Contents.slabBytes / slabs.record_bytes);

  /// How many records there are, free ones included.
  public func capacity(slabs : Slabs) : Nat = slabs.slabs * perSlab(slabs);

  /// Sees to it that so many records are free. `LimitExceeded`: there is no room for them.
  public func reserve(slabs : Slabs, count : Nat) : Types.UnitResult {
    while (slabs.free_count < count) {
      switch (Contents.addSlab(slabs.contents)) {
        case (#Err problem) return #Err problem;
        case (#Ok start) {
          slabs.slabs += 1;
          var place = Nat32.fromNat64(start / Extents.granule);
          for (_ in Nat.range(0, perSlab(slabs))) {
            release(slabs, place);
            place += Nat32.fromNat64(slabs.record_bytes / Extents.granule);
          };
        };
      };
    };
    #Ok;
  };

  /// A free record, with anything in it. There must be one (`reserve`).
  public func take(slabs : Slabs) : Place {
    if (slabs.free_count == 0) Runtime.trap("no record is free");
    let place = slabs.free;
    slabs.free_count -= 1;
    slabs.free := Region.loadNat32(slabs.contents.region, offset(place));
    place;
  };

  /// Takes a record back.
  public func release(slabs : Slabs, place : Place) {
    Region.storeNat32(slabs.contents.region, offset(place), slabs.free);
    slabs.free := place;
    slabs.free_count += 1;
  };
};
