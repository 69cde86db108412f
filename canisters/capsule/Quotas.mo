/// What each principal uses of a canister, what all use together, and how much of it there may be. Owns the numbers, the
/// books and the question whether there is room for more; not what is kept (whoever keeps it charges it, and gives back
/// what it takes away), and not the bytes themselves (`Contents`).
///
/// A capsule is charged to whoever made it, whoever writes it: only its maker has agreed to it (a subject may be someone
/// else, or no principal at all), and an owner who lets others write answers for them. Sessions and nonces are charged to
/// their callers. Books are kept as sums, so no question takes longer the more there is.
import Int "mo:core/Int";
import Map "mo:core/Map";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Extents "Extents";
import Limits "Limits";
import Types "Types";
import Validate "Validate";

module {
  type Usage = Types.Usage;

  /// `heap_bytes`: where the heap stops taking more.
  public type Limits = { person : Usage; total : Usage; heap_bytes : Nat };

  /// Principals that use nothing aren't in `people`.
  public type Books = { people : Map.Map<Principal, Usage>; var total : Usage; var limits : Limits };

  /// Whom something is charged to, and where.
  public type Account = { payer : Principal; books : Books };

  /// What comes and what goes: negative numbers go.
  public type Change = {
    content_bytes : Int;
    record_bytes : Int;
    memories : Int;
    galleries : Int;
    capsules : Int;
    uploads : Int;
    nonces : Int;
  };

  /// What the heap needs for a chunk, beside its bytes in the region.
  let chunkRecordBytes = 100;
  let eventRecordBytes = 100;
  /// What it needs for a record, beside what is encoded of it.
  let memoryRecordBytes = 500;
  let otherRecordBytes = 200;
  let capsuleRecordBytes = 1_000;
  /// Room for the events that they may record: theirs are charged, too, but never refused for a quota that is full.
  let executorRecordBytes = 10_000;
  let userRecordBytes = 200;

  // ---- Limits ----

  /// All that a personal canister holds. A memory with one chunk takes about 1.6 kB of Wasm memory, twice as much
  /// after an upgrade, and 71,000 of its instructions: 200,000 of them 312 MB, 647 MB of 3 GiB, 14.2 G of 300 G.
  public let personalTotal : Usage = {
    content_bytes = Limits.contentBytes;
    record_bytes = 500_000_000;
    memories = 200_000;
    galleries = 20_000;
    capsules = 1;
    uploads = 1_000;
    nonces = 1_000;
  };

  /// Whoever owns a personal canister has all of it; sessions and nonces are limited for each caller.
  public let personalLimits : Limits = {
    person = { personalTotal with uploads = 8; nonces = 10 };
    total = personalTotal;
    heap_bytes = 1_073_741_824;
  };

  /// A backend's, until an admin says otherwise. A principal has room for a large collection and the largest upload, at
  /// a cost of 20 T cycles a year; thirty of them fill the canister. `total.content_bytes` is what `Contents` takes; half
  /// a million memories with usual records have 1.6 GB of heap.
  public let backendLimits : Limits = {
    person = {
      content_bytes = 2_000_000_000;
      record_bytes = 50_000_000;
      memories = 20_000;
      galleries = 2_000;
      capsules = 100;
      uploads = 8;
      nonces = 10;
    };
    total = {
      content_bytes = Limits.contentBytes;
      record_bytes = 1_000_000_000;
      memories = 500_000;
      galleries = 50_000;
      capsules = 200_000;
      uploads = 1_000;
      nonces = 50_000;
    };
    heap_bytes = 3_221_225_472;
  };

  // ---- Books ----

  public let nothing : Usage = {
    content_bytes = 0;
    record_bytes = 0;
    memories = 0;
    galleries = 0;
    capsules = 0;
    uploads = 0;
    nonces = 0;
  };

  public let noChange : Change = nothing;

  /// Nobody uses anything.
  public func empty(limits : Limits) : Books = { people = Map.empty(); var total = nothing; var limits = limits };

  /// What a principal uses.
  public func usedBy(books : Books, person : Principal) : Usage = switch (books.people.get(person)) {
    case (?used) used;
    case null nothing;
  };

  /// A principal's use beside its limits.
  public func status(books : Books, person : Principal) : Types.QuotaStatus {
    { limits = books.limits.person; used = usedBy(books, person) };
  };

  public func plus(a : Change, b : Change) : Change = {
    content_bytes = a.content_bytes + b.content_bytes;
    record_bytes = a.record_bytes + b.record_bytes;
    memories = a.memories + b.memories;
    galleries = a.galleries + b.galleries;
    capsules = a.capsules + b.capsules;
    uploads = a.uploads + b.uploads;
    nonces = a.nonces + b.nonces;
  };

  public func negated(change : Change) : Change = {
    content_bytes = -change.content_bytes;
    record_bytes = -change.record_bytes;
    memories = -change.memories;
    galleries = -change.galleries;
    capsules = -change.capsules;
    uploads = -change.uploads;
    nonces = -change.nonces;
  };

  /// The change from one thing to another in its place.
  public func between(before : Change, after : Change) : Change = plus(after, negated(before));

  func changed(used : Usage, change : Change) : Usage {
    let sum = plus(used, change);
    {
      content_bytes = Int.toNat(sum.content_bytes);
      record_bytes = Int.toNat(sum.record_bytes);
      memories = Int.toNat(sum.memories);
      galleries = Int.toNat(sum.galleries);
      capsules = Int.toNat(sum.capsules);
      uploads = Int.toNat(sum.uploads);
      nonces = Int.toNat(sum.nonces);
    };
  };

  /// Writes a change down, whether it fits or not: `check` asks that before.
  public func charge({ books; payer } : Account, change : Change) {
    if (change == noChange) return;
    books.total := changed(books.total, change);
    let used = changed(usedBy(books, payer), change);
    if (used == nothing) books.people.remove(payer) else books.people.add(payer, used);
  };

  /// `LimitExceeded`: the change is more than there is room for, for its payer or in total. What only takes away is never
  /// refused, however little is allowed by now.
  public func check({ books; payer } : Account, change : Change) : Validate.Problem {
    let { person; total } = books.limits;
    switch (firstExceeded(total, books.total, change, " of all", " of all")) {
      case null firstExceeded(person, usedBy(books, payer), change, " of a principal", " of a caller");
      case problem problem;
    };
  };

  func firstExceeded(limits : Usage, used : Usage, change : Change, payers : Text, callers : Text) : Validate.Problem {
    func exceeded(what : Text, whose : Text, limit : Nat, present : Nat, more : Int) : Validate.Problem {
      if (more <= 0 or present + more <= limit) return null;
      ?#LimitExceeded { what = what # whose; limit; actual = Int.toNat(present + more) };
    };
    Validate.first([
      exceeded("bytes of contents", payers, limits.content_bytes, used.content_bytes, change.content_bytes),
      exceeded("bytes of records", payers, limits.record_bytes, used.record_bytes, change.record_bytes),
      exceeded("memories", payers, limits.memories, used.memories, change.memories),
      exceeded("galleries", payers, limits.galleries, used.galleries, change.galleries),
      exceeded("capsules", payers, limits.capsules, used.capsules, change.capsules),
      exceeded("uploads in progress", callers, limits.uploads, used.uploads, change.uploads),
      exceeded("valid nonces", callers, limits.nonces, used.nonces, change.nonces),
    ]);
  };

  /// `LimitExceeded`: the heap, which has `bytes` now, takes no more.
  public func checkHeap(books : Books, bytes : Nat) : Validate.Problem {
    Validate.most("bytes of this canister's heap", books.limits.heap_bytes, bytes);
  };

  // ---- What things are charged ----

  /// A content of `size` bytes in chunks of `chunkSize`.
  public func content(size : Nat64, chunkSize : Nat32) : Change {
    if (size == 0) return noChange;
    let full = Nat64.fromNat32(chunkSize);
    let before = (size - 1) / full;
    {
      noChange with
      content_bytes = Nat64.toNat(before * Extents.rounded(full) + Extents.rounded(size - before * full));
      record_bytes = chunkRecordBytes * (Nat64.toNat(before) + 1);
    };
  };

  /// One chunk that isn't part of a content yet.
  public func chunk(size : Nat) : Change = content(Nat64.fromNat(size), Nat32.fromNat(size));

  /// A memory's record, without its content.
  public func memoryRecord(recordBytes : Nat) : Change = {
    noChange with
    record_bytes = memoryRecordBytes + recordBytes;
    memories = 1;
  };

  /// The record of a gallery, a connection or a group.
  public func otherRecord(recordBytes : Nat) : Change = { noChange with record_bytes = otherRecordBytes + recordBytes };

  public func event(event : Types.AccessEvent) : Change {
    let text = switch event { case (#Custom name) name.encodeUtf8().size(); case _ 0 };
    { noChange with record_bytes = eventRecordBytes + text };
  };

  public let executor : Change = { noChange with record_bytes = executorRecordBytes };
  public let capsule : Change = { noChange with record_bytes = capsuleRecordBytes; capsules = 1 };
  /// A gallery, beside its record.
  public let gallery : Change = { noChange with galleries = 1 };
  public let user : Change = { noChange with record_bytes = userRecordBytes };
  public let upload : Change = { noChange with uploads = 1 };
  public let nonce : Change = { noChange with nonces = 1 };
};
