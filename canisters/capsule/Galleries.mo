/// Galleries: ordered views of a capsule's memories. A gallery names only memories that exist; a reader sees the entries
/// of those memories that they may read, so that a public gallery opens and tells nothing of the others. Not who may
/// write (the service asks).
import Array "mo:core/Array";
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Option "mo:core/Option";
import Order "mo:core/Order";
import Set "mo:core/Set";
import Text "mo:core/Text";
import VarArray "mo:core/VarArray";
import Access "Access";
import Quotas "Quotas";
import Roster "Roster";
import Seal "Seal";
import Store "Store";
import Types "Types";
import Validate "Validate";

module {
  /// The first entry whose memory isn't in the capsule.
  func unknownMemory(capsule : Store.Capsule, entries : [Types.GalleryMemoryEntry]) : ?Text {
    entries.find(func entry = not capsule.memories.containsKey(entry.memory_id)).map(func entry = entry.memory_id);
  };

  func check(capsule : Store.Capsule, data : Types.GalleryData) : Validate.Problem {
    switch (Validate.gallery(data)) { case null {}; case problem return problem };
    switch (unknownMemory(capsule, data.memory_entries)) {
      case (?id) ?#NotFound { kind = "memory"; id };
      case null null;
    };
  };

  /// Puts a gallery in its place, new or over the one with the same id, unless it is too large.
  public func put(store : Store.Store, capsule : Store.Capsule, gallery : Types.Gallery) : Types.UnitResult {
    let sealed = Seal.gallery(gallery);
    switch (Validate.first([
      Roster.check(capsule, capsule.galleries, gallery.id, sealed),
      Quotas.check(capsule.account, addition(capsule, gallery.id)),
    ])) {
      case (?problem) #Err problem;
      case null { insert(store, capsule, sealed); #Ok };
    };
  };

  /// What a gallery is charged for being one; nothing if it is there already.
  public func addition(capsule : Store.Capsule, id : Text) : Quotas.Change {
    if (capsule.galleries.containsKey(id)) Quotas.noChange else Quotas.gallery;
  };

  /// Puts a gallery that is known to fit in its place.
  public func insert(store : Store.Store, capsule : Store.Capsule, gallery : Store.Sealed<Types.Gallery>) {
    let id = gallery.record.id;
    let before = entriesOf(capsule, id);
    if (before != gallery.record.memory_entries) {
      for ({ memory_id } in before.values()) unlink(capsule, (memory_id, id));
      for ({ memory_id } in gallery.record.memory_entries.values()) link(capsule, (memory_id, id));
    };
    Quotas.charge(capsule.account, addition(capsule, id));
    Roster.insert(capsule, #Gallery, capsule.galleries, id, gallery);
    store.gallery_homes.add(id, capsule);
  };

  /// Takes the gallery away; one that isn't there changes nothing.
  public func drop(store : Store.Store, capsule : Store.Capsule, id : Text) {
    for ({ memory_id } in entriesOf(capsule, id).values()) unlink(capsule, (memory_id, id));
    if (capsule.galleries.containsKey(id)) Quotas.charge(capsule.account, Quotas.negated(Quotas.gallery));
    Roster.drop(capsule, #Gallery, capsule.galleries, id);
    store.gallery_homes.remove(id);
  };

  func entriesOf(
    capsule : Store.Capsule,
    id : Text,
  ) : [Types.GalleryMemoryEntry] = switch (capsule.galleries.get(id)) {
    case (?{ record }) record.memory_entries;
    case null [];
  };

  /// By memory, then by gallery.
  func compareAppearances(a : (Text, Text), b : (Text, Text)) : Order.Order {
    switch (Text.compare(a.0, b.0)) { case (#equal) Text.compare(a.1, b.1); case order order };
  };

  // ---- Which galleries name a memory ----

  func link(capsule : Store.Capsule, place : (Text, Text)) {
    let isNew = capsule.appearances.insert(compareAppearances, place);
    if (isNew and not capsule.memories.containsKey(place.0)) capsule.dangling += 1;
  };

  func unlink(capsule : Store.Capsule, place : (Text, Text)) {
    let wasThere = capsule.appearances.delete(compareAppearances, place);
    if (wasThere and not capsule.memories.containsKey(place.0)) capsule.dangling -= 1;
  };

  func places(capsule : Store.Capsule, memoryId : Text) : [(Text, Text)] {
    capsule.appearances.valuesFrom(compareAppearances, (memoryId, "")).takeWhile(
      func((memory, _)) = memory == memoryId
    ).toArray();
  };

  /// To be told that a memory is in the capsule now, which wasn't before.
  public func memoryCame(capsule : Store.Capsule, memoryId : Text) { capsule.dangling -= places(capsule, memoryId).size() };

  /// To be told that a memory isn't in the capsule any more.
  public func memoryWent(capsule : Store.Capsule, memoryId : Text) { capsule.dangling += places(capsule, memoryId).size() };

  /// A gallery's entry that names a memory which isn't in the capsule. Takes no time when there is none.
  public func dangling(capsule : Store.Capsule) : ?(Text, Text) {
    if (capsule.dangling == 0) return null;
    let found = capsule.appearances.values().find(func((memory, _)) = not capsule.memories.containsKey(memory));
    found.map(func((memory, gallery)) = (gallery, memory));
  };

  /// Refuses a gallery that names a memory which isn't in the capsule.
  public func add(
    store : Store.Store,
    capsule : Store.Capsule,
    newId : () -> Text,
    owner : Principal,
    data : Types.GalleryData,
    now : Nat64,
  ) : Types.Result<Types.Gallery> {
    switch (check(capsule, data)) { case null {}; case (?problem) return #Err problem };
    let gallery : Types.Gallery = {
      data with
      id = newId();
      owner_principal = owner;
      created_at = now;
      updated_at = now;
      storage_status = #ICPOnly;
    };
    switch (put(store, capsule, gallery)) { case (#Ok) #Ok gallery; case (#Err problem) #Err problem };
  };

  /// Changes what the change names; the whole is checked again.
  public func update(
    store : Store.Store,
    capsule : Store.Capsule,
    old : Types.Gallery,
    change : Types.GalleryUpdate,
    now : Nat64,
  ) : Types.Result<Types.Gallery> {
    let gallery : Types.Gallery = {
      old with
      title = switch (change.title) { case (?given) given; case null old.title };
      description = switch (change.description) { case null old.description; case given given };
      is_public = switch (change.is_public) { case (?given) given; case null old.is_public };
      memory_entries = switch (change.memory_entries) { case (?given) given; case null old.memory_entries };
      updated_at = now;
    };
    switch (check(capsule, gallery)) { case null {}; case (?problem) return #Err problem };
    switch (put(store, capsule, gallery)) { case (#Ok) #Ok gallery; case (#Err problem) #Err problem };
  };

  /// Takes a deleted memory's entries out of the capsule's galleries.
  public func forgetMemory(capsule : Store.Capsule, memoryId : Text, now : Nat64) {
    for (place in places(capsule, memoryId).values()) {
      unlink(capsule, place);
      switch (capsule.galleries.get(place.1)) {
        case null {};
        case (?{ record }) {
          let memory_entries = record.memory_entries.filter(func entry = entry.memory_id != memoryId);
          let kept = Seal.gallery({ record with memory_entries; updated_at = now });
          Roster.insert(capsule, #Gallery, capsule.galleries, record.id, kept);
        };
      };
    };
  };

  /// Whether the reader may see the gallery: its title, and the entries that `shown` leaves.
  public func mayRead(gallery : Types.Gallery, reader : Access.Reader) : Bool {
    reader.writes or (gallery.is_public and reader.isGuest);
  };

  /// The gallery without the entries of memories that the reader may not read. Where some are left out, the others'
  /// positions are counted anew: a gap would tell.
  public func shown(capsule : Store.Capsule, gallery : Types.Gallery, reader : Access.Reader) : Types.Gallery {
    let visible = gallery.memory_entries.filter(
      func({ memory_id }) = switch (capsule.memories.get(memory_id)) {
        case (?memory) reader.mayRead(memory);
        case null reader.writes;
      }
    );
    if (visible.size() == gallery.memory_entries.size()) return gallery;
    { gallery with memory_entries = closedUp(visible) };
  };

  /// The entries with the positions 0, 1, 2, ..., in the order of the positions that they had.
  func closedUp(entries : [Types.GalleryMemoryEntry]) : [Types.GalleryMemoryEntry] {
    let order = entries.keys().toArray().sort(
      func(a, b) = switch (Nat32.compare(entries[a].position, entries[b].position)) {
        case (#equal) Nat.compare(a, b);
        case unequal unequal;
      }
    );
    let places = VarArray.repeat<Nat32>(0, entries.size());
    for (place in order.keys()) places[order[place]] := Nat32.fromNat(place);
    Array.tabulate<Types.GalleryMemoryEntry>(entries.size(), func i = { entries[i] with position = places[i] });
  };

  /// Those that the reader may see, as they may see them.
  public func visibleTo(capsule : Store.Capsule, reader : Access.Reader) : [Types.Gallery] {
    capsule.galleries.values().filter(func({ record }) = mayRead(record, reader)).map(
      func({ record }) = shown(capsule, record, reader)
    ).toArray();
  };
};
