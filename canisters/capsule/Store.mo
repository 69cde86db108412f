/// What a canister keeps about capsules, and how things are found in it: the bytes of contents are in stable memory
/// (`Contents`), all else in the heap. Owns the stored types and their indexes; decides nothing about who may do what.
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Queue "mo:core/Queue";
import Set "mo:core/Set";
import Text "mo:core/Text";
import Contents "Contents";
import MerkleTree "MerkleTree";
import Quotas "Quotas";
import Types "Types";

module {
  type Map<K, V> = Map.Map<K, V>;

  public type Chunk = Contents.Chunk;

  /// The bytes of a memory. `checksum` is the SHA-256 of the concatenated checksums of the chunks.
  public type Content = { size : Nat64; chunk_size : Nat32; chunks : [Chunk]; checksum : Blob };

  /// The checksum of an item's record, computed once, when the item is written; and the bytes of its encoding without the
  /// types, which a list has once.
  public type Seal = { record_checksum : Blob; record_bytes : Nat };
  public type Sealed<T> = { record : T; seal : Seal };
  /// Who may read a memory beside those who write its capsule; null is Private, as most are.
  public type Ruled = { rule : ?Types.MemoryAccess };
  /// A memory's record as it is kept: what isn't looked at alone is packed (`Packed`). `Seal.recordOf` gives the whole.
  public type KeptRecord = Ruled and { id : Text; packed : Blob };
  public type SealedRecord = Seal and KeptRecord;
  public type StoredMemory = Seal and KeptRecord and { content : ?Content };

  /// Maps are keyed by ids; those of people by `Persons.key`, which is also a connection's id in a manifest.
  public type Capsule = {
    var id : Text;
    var subject : Types.PersonRef;
    /// Whose quotas it counts for.
    account : Quotas.Account;
    owners : Map<Text, (Types.PersonRef, Types.OwnerState)>;
    controllers : Map<Text, (Types.PersonRef, Types.ControllerState)>;
    /// By `Events.key`.
    events : Map<Text, Types.RecordedEvent>;
    executors : Map<Principal, Types.Executor>;
    /// What owners have chosen, by `Events.kindName`.
    event_waits : Map<Text, Types.EventWait>;
    memories : Map<Text, StoredMemory>;
    /// Memories whose rule may let people in who don't write the capsule: their lists pass by all the others.
    shared_memories : Set.Set<Text>;
    galleries : Map<Text, Sealed<Types.Gallery>>;
    /// Which galleries name a memory: pairs of memory and gallery, so that a deleted memory's galleries are found.
    appearances : Set.Set<(Text, Text)>;
    /// How many of these pairs name a memory that isn't there, as they may while an import is under way.
    var dangling : Nat;
    connections : Map<Text, Sealed<Types.Connection>>;
    groups : Map<Text, Sealed<Types.ConnectionGroup>>;
    /// Of all memories, galleries, connections and groups: whoever puts one in its place or takes it away does so here too.
    /// A variable, though always the same tree: a capsule is found by each of its memories, and an upgrade with classical
    /// persistence writes it every time, but what a variable has only once.
    var tree : MerkleTree.Tree;
    var created_at : Nat64;
    var updated_at : Nat64;
    var bound_to_web2 : Bool;
    /// Goes up with every change of what an export would carry.
    var revision : Nat64;
    /// Bytes of all the memories' contents.
    var content_bytes : Nat64;
    /// Encoded bytes of galleries, connections and groups, which are read all at once.
    var roster_bytes : Nat;
  };

  public type Nonce = { owner : Principal; expires_at : Nat64 };

  public type Upload = {
    id : Nat64;
    owner : Principal;
    capsule : Capsule;
    memory_id : Text;
    /// Null after the commit.
    var memory : ?Types.NewMemory;
    /// What the capsule's account holds for the memory; nothing after the commit.
    var reserved : Quotas.Change;
    total_size : Nat64;
    chunk_size : Nat32;
    total_chunks : Nat32;
    /// Emptied by the commit.
    var chunks : [var ?Chunk];
    var last_activity_at : Nat64;
    var committed : Bool;
  };

  public type Store = {
    /// Bytes of the chunks that memories, uploads and imports hold.
    contents : Contents.Contents;
    /// Those of all capsules' trees.
    nodes : MerkleTree.Nodes;
    /// What is used, and how much may be.
    books : Quotas.Books;
    capsules : Map<Text, Capsule>;
    /// By the principal that is both subject and owner.
    self_capsules : Map<Principal, Capsule>;
    /// By owner or controller, then by id.
    capsules_of : Map<Principal, Map<Text, Capsule>>;
    memory_homes : Map<Text, Capsule>;
    gallery_homes : Map<Text, Capsule>;
    users : Map<Principal, Types.User>;
    nonces : Map<Text, Nonce>;
    /// The same nonces in the order of their expiry.
    nonce_expiries : Set.Set<(Nat64, Text)>;
    /// The same nonces by who proved them.
    nonces_of : Map<Principal, Set.Set<Text>>;
    uploads : Map<Nat64, Upload>;
    /// Those in progress: without the committed ones, of which there may be many.
    uploads_of : Map<Principal, Map<Nat64, Upload>>;
    /// The committed ones of each caller, the oldest first; not those that were forgotten already.
    committed_of : Map<Principal, Queue.Queue<Nat64>>;
    /// Where the next sweep for expired uploads goes on.
    var upload_sweep : Nat64;
    /// What ids are made with (`Ids`): 32 random bytes, null until the first id is wanted.
    var id_secret : ?Blob;
    var last_stamp : Nat64;
  };

  /// No capsules, no people.
  public func empty(limits : Quotas.Limits) : Store {
    let contents = Contents.empty();
    {
      contents;
      nodes = MerkleTree.nodes(contents);
      books = Quotas.empty(limits);
      capsules = Map.empty();
      self_capsules = Map.empty();
      capsules_of = Map.empty();
      memory_homes = Map.empty();
      gallery_homes = Map.empty();
      users = Map.empty();
      nonces = Map.empty();
      nonce_expiries = Set.empty();
      nonces_of = Map.empty();
      uploads = Map.empty();
      uploads_of = Map.empty();
      committed_of = Map.empty();
      var upload_sweep = 0;
      var id_secret = null;
      var last_stamp = 0;
    };
  };

  /// A principal's account in the store's books.
  public func account(store : Store, payer : Principal) : Quotas.Account = { payer; books = store.books };

  /// A capsule of `payer`'s account that can't be found in the store yet: see `insert`.
  public func newCapsule(store : Store, id : Text, payer : Principal, subject : Types.PersonRef, now : Nat64) : Capsule = {
    var id = id;
    var subject = subject;
    account = account(store, payer);
    owners = Map.empty();
    controllers = Map.empty();
    events = Map.empty();
    executors = Map.empty();
    event_waits = Map.empty();
    memories = Map.empty();
    shared_memories = Set.empty();
    galleries = Map.empty();
    appearances = Set.empty();
    var dangling = 0;
    connections = Map.empty();
    groups = Map.empty();
    var tree = MerkleTree.empty(store.nodes);
    var created_at = now;
    var updated_at = now;
    var bound_to_web2 = false;
    var revision = 0;
    var content_bytes = 0;
    var roster_bytes = 0;
  };

  /// Makes the capsule findable by its id and by the people who may write it.
  public func insert(store : Store, capsule : Capsule) {
    store.capsules.add(capsule.id, capsule);
    for ((person, _) in capsule.owners.values()) {
      indexPerson(store, capsule, person);
      if (person == capsule.subject) {
        switch person {
          case (#Principal principal) store.self_capsules.add(principal, capsule);
          case (#Opaque _) {};
        };
      };
    };
    for ((person, _) in capsule.controllers.values()) indexPerson(store, capsule, person);
  };

  func indexPerson(store : Store, capsule : Capsule, person : Types.PersonRef) {
    let #Principal principal = person else return;
    let capsules = switch (store.capsules_of.get(principal)) {
      case (?known) known;
      case null {
        let fresh = Map.empty<Text, Capsule>();
        store.capsules_of.add(principal, fresh);
        fresh;
      };
    };
    capsules.add(capsule.id, capsule);
  };

  /// Takes the capsule out of the indexes by person, before its owners or controllers change.
  public func unindex(store : Store, capsule : Capsule) {
    for ((person, _) in capsule.owners.values()) unindexPerson(store, capsule, person);
    for ((person, _) in capsule.controllers.values()) unindexPerson(store, capsule, person);
  };

  func unindexPerson(store : Store, capsule : Capsule, person : Types.PersonRef) {
    let #Principal principal = person else return;
    switch (store.capsules_of.get(principal)) {
      case (?capsules) {
        capsules.remove(capsule.id);
        if (capsules.isEmpty()) store.capsules_of.remove(principal);
      };
      case null {};
    };
    switch (store.self_capsules.get(principal)) {
      case (?own) if (own.id == capsule.id) store.self_capsules.remove(principal);
      case null {};
    };
  };

  /// The capsule that is about this person and theirs.
  public func selfCapsule(store : Store, person : Principal) : ?Capsule = store.self_capsules.get(person);

  /// The chunks that memories and uploads hold.
  public func heldChunks(store : Store) : Iter.Iter<Chunk> {
    let ofMemories = store.memory_homes.entries().flatMap(
      func((id, home)) = switch (home.memories.get(id)) {
        case (?{ content = ?{ chunks } }) chunks.values();
        case _ Iter.empty();
      }
    );
    let ofUploads = store.uploads.values().flatMap(
      func upload = upload.chunks.values().filterMap<?Chunk, Chunk>(func slot = slot)
    );
    ofMemories.concat(ofUploads);
  };
};
