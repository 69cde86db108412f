/// Imported records: the capsule's own, memories, galleries, connections, groups. Owns what a record must be to be
/// taken, and when a memory still needs its bytes. A batch is checked as a whole before any of it is stored.
import Array "mo:core/Array";
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat8 "mo:core/Nat8";
import Order "mo:core/Order";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Text "mo:core/Text";
import Capsule "../capsule/Types";
import Capsules "../capsule/Capsules";
import Events "../capsule/Events";
import CapsuleLimits "../capsule/Limits";
import Galleries "../capsule/Galleries";
import Memories "../capsule/Memories";
import MerkleTree "../capsule/MerkleTree";
import Persons "../capsule/Persons";
import Quotas "../capsule/Quotas";
import Roster "../capsule/Roster";
import Seal "../capsule/Seal";
import Store "../capsule/Store";
import Validate "../capsule/Validate";
import ImportState "ImportState";

module {
  type State = ImportState.State;
  type Problem = Validate.Problem;

  /// A memory whose bytes the source keeps must bring them; the hash tells which.
  func neededContent(record : Capsule.MemoryRecord) : ?Blob = switch (record.blob_ref) {
    case { kind = #ICPCapsule; hash } hash;
    case _ null;
  };

  // ---- Checks ----

  func checkPeople<V>(field : Text, people : [{ key : Capsule.PersonRef; value : V }]) : Problem {
    Validate.people(field, people.map(func entry = entry.key), CapsuleLimits.accessPeople);
  };

  func checkCapsule(state : State, record : Capsule.CapsuleRecord, owner : Principal) : Problem = Validate.first([
    Validate.name("id", record.id),
    if (ImportState.hasCapsule(state) and state.capsule.id != record.id) Validate.invalid(
      "id",
      "capsule " # state.capsule.id # " is being imported here",
    ) else null,
    if (not Persons.isPrincipal(record.subject, owner)) Validate.invalid(
      "subject",
      "must be this canister's owner",
    ) else null,
    if (not record.owners.any(func entry = Persons.isPrincipal(entry.key, owner))) Validate.invalid(
      "owners",
      "must contain this canister's owner",
    ) else null,
    checkPeople("owners", record.owners),
    checkPeople("controllers", record.controllers),
    checkEvents(record),
  ]);

  /// What both canisters would have on record in the same form: whatever comes twice there would be there once.
  func checkEvents(record : Capsule.CapsuleRecord) : Problem {
    let keys = Set.fromIter(record.events.values().map(func({ event }) = Events.key(event)));
    let people = Set.fromIter(record.executors.values().map(func({ person }) = person));
    let kinds = Set.fromIter(record.event_waits.values().map(func({ kind }) = Events.kindName(kind)));
    Validate.first([
      Validate.most("events of a capsule", CapsuleLimits.eventsOfAll(), record.events.size()),
      Validate.most("executors of a capsule", CapsuleLimits.executorsPerCapsule, record.executors.size()),
      if (keys.size() < record.events.size()) Validate.invalid("events", "has one twice") else null,
      if (people.size() < record.executors.size()) Validate.invalid("executors", "has one twice") else null,
      if (kinds.size() < record.event_waits.size()) Validate.invalid("event_waits", "has one kind twice") else null,
      Validate.first(record.events.map(func({ event }) = Validate.event("events", event))),
      Validate.first(record.executors.map(func({ person }) = Validate.person("executors", #Principal person))),
      Validate.first(record.event_waits.map(func({ wait_ns }) = Events.checkWait(wait_ns))),
    ]);
  };

  func checkMemory(record : Capsule.MemoryRecord) : Problem = Validate.first([
    Validate.name("id", record.id),
    Validate.name("info.name", record.info.name),
    Validate.name("info.content_type", record.info.content_type),
    Validate.metadata(record.info.memory_type, record.metadata),
    Validate.access(record.access),
    Validate.blobRef(record.blob_ref),
  ]);

  /// What the capsule's record adds to what is charged.
  func capsuleGrowth(state : State, record : Capsule.CapsuleRecord) : Quotas.Change {
    func all({ events; executors } : Capsule.CapsuleRecord) : Quotas.Change {
      var sum = Quotas.noChange;
      for ({ event } in events.values()) sum := Quotas.plus(sum, Quotas.event(event));
      for (_ in executors.values()) sum := Quotas.plus(sum, Quotas.executor);
      sum;
    };
    let growth = Quotas.between(all(Capsules.record(state.capsule)), all(record));
    if (ImportState.hasCapsule(state)) growth else Quotas.plus(growth, Quotas.capsule);
  };

  /// What a memory's record adds to what is charged, whether its bytes are here or come later.
  func memoryGrowth(state : State, record : Store.SealedRecord) : Quotas.Change {
    let before = switch (state.capsule.memories.get(record.id), state.pending.get(record.id)) {
      case (?stored, _) Quotas.memoryRecord(stored.record_bytes);
      case (null, ?pending) ImportState.recordCharge(pending.record);
      case _ Quotas.noChange;
    };
    Quotas.between(before, Quotas.memoryRecord(record.record_bytes));
  };

  // ---- Storing ----

  func putCapsule(store : Store.Store, state : State, record : Capsule.CapsuleRecord) {
    let capsule = state.capsule;
    Quotas.charge(capsule.account, capsuleGrowth(state, record));
    Store.unindex(store, capsule);
    capsule.id := record.id;
    capsule.subject := record.subject;
    capsule.owners.clear();
    for ({ key; value } in record.owners.values()) capsule.owners.add(Persons.key(key), (key, value));
    capsule.controllers.clear();
    for ({ key; value } in record.controllers.values()) capsule.controllers.add(Persons.key(key), (key, value));
    capsule.events.clear();
    for (recorded in record.events.values()) capsule.events.add(Events.key(recorded.event), recorded);
    capsule.executors.clear();
    for (executor in record.executors.values()) capsule.executors.add(executor.person, executor);
    capsule.event_waits.clear();
    for (chosen in record.event_waits.values()) capsule.event_waits.add(Events.kindName(chosen.kind), chosen);
    capsule.created_at := record.created_at;
    capsule.updated_at := record.updated_at;
    capsule.bound_to_web2 := record.bound_to_web2;
    Store.insert(store, capsule);
  };

  /// A record whose content is committed already, or that has none, is committed at once; otherwise the memory is
  /// pending until `commit`. Chunks of another content are of no use any more.
  func putMemory(store : Store.Store, state : State, record : Capsule.MemoryRecord, sealed : Store.SealedRecord) {
    let content = keptContent(state, record);
    switch (neededContent(record), content) {
      case (?_, null) {
        Memories.drop(store, state.capsule, record.id);
        stage(store, state, record, sealed);
      };
      case _ {
        ImportState.dropPending(store, state, record.id);
        Memories.insert(store, state.capsule, { sealed with content });
      };
    };
  };

  func stage(store : Store.Store, state : State, record : Capsule.MemoryRecord, sealed : Store.SealedRecord) {
    let pending = ImportState.pendingFor(state, record.id);
    switch (pending.record) {
      case (?old) if (neededContent(Seal.recordOf(old)) != neededContent(record)) ImportState.dropChunks(
        store,
        state,
        pending,
      );
      case null {};
    };
    ImportState.setRecord(state, pending, ?sealed);
  };

  /// The committed content that the record goes with.
  func keptContent(state : State, record : Capsule.MemoryRecord) : ?Store.Content = do ? {
    let content = state.capsule.memories.get(record.id)!.content!;
    if (content.checksum != neededContent(record)!) null! else content;
  };

  // ---- Batches ----

  /// An item that was found in order, sealed: what it adds to the roster and to what is charged, and how to store it.
  type Prepared = { growth : Int; charge : Quotas.Change; apply : () -> () };

  func prepare(
    store : Store.Store,
    state : State,
    item : Capsule.ExportItem,
    owner : Principal,
  ) : Capsule.Result<Prepared> {
    let capsule = state.capsule;
    let (problem, growth, charge, apply) : (Problem, Int, Quotas.Change, () -> ()) = switch item {
      case (#Capsule record) (
        checkCapsule(state, record, owner),
        0,
        capsuleGrowth(state, record),
        func() = putCapsule(store, state, record),
      );
      case (#Memory record) {
        let sealed = Seal.memoryRecord(record);
        (
          Validate.first([checkMemory(record), Memories.checkSize(sealed.record_bytes)]),
          0,
          memoryGrowth(state, sealed),
          func() = putMemory(store, state, record, sealed),
        );
      };
      case (#Gallery gallery) {
        let sealed = Seal.gallery(gallery);
        (
          Validate.first([Validate.name("id", gallery.id), Validate.gallery(gallery), Roster.checkItem(sealed)]),
          Roster.growth(capsule.galleries, gallery.id, sealed),
          Quotas.plus(Roster.charge(capsule.galleries, gallery.id, sealed), Galleries.addition(capsule, gallery.id)),
          func() = Galleries.insert(store, capsule, sealed),
        );
      };
      case (#Connection connection) {
        let sealed = Seal.connection(connection);
        let key = Persons.key(connection.peer);
        (
          Validate.first([Validate.person("peer", connection.peer), Roster.checkItem(sealed)]),
          Roster.growth(capsule.connections, key, sealed),
          Roster.charge(capsule.connections, key, sealed),
          func() = Roster.insert(capsule, #Connection, capsule.connections, key, sealed),
        );
      };
      case (#ConnectionGroup group) {
        let sealed = Seal.group(group);
        (
          Validate.first([Validate.name("id", group.id), Validate.group(group), Roster.checkItem(sealed)]),
          Roster.growth(capsule.groups, group.id, sealed),
          Roster.charge(capsule.groups, group.id, sealed),
          func() = Roster.insert(capsule, #ConnectionGroup, capsule.groups, group.id, sealed),
        );
      };
    };
    switch problem { case (?found) #Err found; case null #Ok { growth; charge; apply } };
  };

  func refOf(item : Capsule.ExportItem) : Capsule.ItemRef = switch item {
    case (#Capsule { id }) ({ kind = #Capsule; id });
    case (#Memory { id }) ({ kind = #Memory; id });
    case (#Gallery { id }) ({ kind = #Gallery; id });
    case (#Connection { peer }) ({ kind = #Connection; id = Persons.key(peer) });
    case (#ConnectionGroup { id }) ({ kind = #ConnectionGroup; id });
  };

  func compareRefs(a : Capsule.ItemRef, b : Capsule.ItemRef) : Order.Order {
    switch (Nat8.compare(Seal.kindNumber(a.kind), Seal.kindNumber(b.kind))) {
      case (#equal) Text.compare(a.id, b.id);
      case different different;
    };
  };

  /// Puts items in their places, new or over those with the same ids. Of an item that comes more than once the last stays,
  /// and counts.
  public func put(
    store : Store.Store,
    state : State,
    items : [Capsule.ExportItem],
    owner : Principal,
  ) : Capsule.UnitResult {
    let batch = Map.empty<Capsule.ItemRef, Prepared>();
    for (item in items.values()) {
      switch (prepare(store, state, item, owner)) {
        case (#Ok prepared) batch.add(compareRefs, refOf(item), prepared);
        case (#Err problem) return #Err problem;
      };
    };
    var growth : Int = 0;
    var charge = Quotas.noChange;
    for (prepared in batch.values()) {
      growth += prepared.growth;
      charge := Quotas.plus(charge, prepared.charge);
    };
    switch (Validate.first([Roster.checkTotal(state.capsule, growth), Quotas.check(state.capsule.account, charge)])) {
      case null {};
      case (?problem) return #Err problem;
    };
    let reserved = MerkleTree.reserve(store.nodes, batch.size());
    if (reserved != #Ok) return reserved;
    for ({ apply } in batch.values()) apply();
    #Ok;
  };

  /// Removes what the source has no more, committed or pending; what isn't here is no problem.
  public func remove(store : Store.Store, state : State, refs : [Capsule.ItemRef]) : Capsule.UnitResult {
    let capsule = state.capsule;
    if (refs.any(func ref = ref.kind == #Capsule)) {
      return #Err(#InvalidArgument { field = "kind"; reason = "the capsule itself can't be removed from an import" });
    };
    for ({ kind; id } in refs.values()) {
      switch kind {
        case (#Memory) {
          ImportState.dropPending(store, state, id);
          Memories.drop(store, capsule, id);
        };
        case (#Gallery) Galleries.drop(store, capsule, id);
        case (#Connection) Roster.drop(capsule, #Connection, capsule.connections, id);
        case (#ConnectionGroup) Roster.drop(capsule, #ConnectionGroup, capsule.groups, id);
        case (#Capsule) {};
      };
    };
    #Ok;
  };
};
