/// The capsule itself: making one, its record and the views of it that callers get, and noting a change.
/// Does not own what is in it (memories, galleries, connections).
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Ids "Ids";
import Limits "Limits";
import MerkleTree "MerkleTree";
import Persons "Persons";
import Seal "Seal";
import Quotas "Quotas";
import Store "Store";
import Types "Types";
import Validate "Validate";

module {
  /// A new capsule about `subject`, owned by `owner`. One owner has one capsule about each subject.
  public func create(
    store : Store.Store,
    owner : Principal,
    subject : Types.PersonRef,
    now : Nat64,
  ) : Types.Result<Store.Capsule> {
    switch (Validate.person("subject", subject)) { case null {}; case (?problem) return #Err problem };
    switch (store.capsules_of.get(owner)) {
      case null {};
      case (?known) {
        for (capsule in known.values()) {
          if (capsule.subject == subject and capsule.owners.containsKey(Persons.key(#Principal owner))) {
            return #Err(#AlreadyExists { kind = "capsule"; id = capsule.id });
          };
        };
      };
    };
    let account = Store.account(store, owner);
    switch (Quotas.check(account, Quotas.capsule)) { case null {}; case (?problem) return #Err problem };
    let capsule = Store.newCapsule(store, Ids.next(store, "cap", now), owner, subject, now);
    capsule.owners.add(Persons.key(#Principal owner), (#Principal owner, { since = now; last_activity_at = now }));
    Store.insert(store, capsule);
    Quotas.charge(account, Quotas.capsule);
    #Ok capsule;
  };

  /// Notes that `caller` changed something in the capsule that an export would carry.
  public func touch(capsule : Store.Capsule, caller : Principal, now : Nat64) {
    capsule.revision += 1;
    capsule.updated_at := now;
    MerkleTree.settle(capsule.tree);
    let key = Persons.key(#Principal caller);
    switch (capsule.owners.get(key)) {
      case (?(person, state)) capsule.owners.add(key, (person, { state with last_activity_at = now }));
      case null {};
    };
  };

  func pairs<V>(map : Map.Map<Text, (Types.PersonRef, V)>) : [{ key : Types.PersonRef; value : V }] = map.values().map(
    func((key, value)) = { key; value }
  ).toArray();

  /// What an export carries of the capsule itself; people, events and waits are in the order of their keys.
  public func record(capsule : Store.Capsule) : Types.CapsuleRecord = {
    id = capsule.id;
    subject = capsule.subject;
    owners = pairs(capsule.owners);
    controllers = pairs(capsule.controllers);
    events = capsule.events.values().toArray();
    executors = capsule.executors.values().toArray();
    event_waits = capsule.event_waits.values().toArray();
    created_at = capsule.created_at;
    updated_at = capsule.updated_at;
    bound_to_web2 = capsule.bound_to_web2;
  };

  /// What lists of capsules show.
  public func header(capsule : Store.Capsule) : Types.CapsuleHeader = {
    id = capsule.id;
    subject = capsule.subject;
    owner_count = Nat64.fromNat(capsule.owners.size());
    controller_count = Nat64.fromNat(capsule.controllers.size());
    memory_count = Nat64.fromNat(capsule.memories.size());
    created_at = capsule.created_at;
    updated_at = capsule.updated_at;
  };

  /// The capsule from the caller's point of view.
  public func info(capsule : Store.Capsule, caller : Principal) : Types.CapsuleInfo {
    let key = Persons.key(#Principal caller);
    let isOwner = capsule.owners.containsKey(key);
    {
      capsule_id = capsule.id;
      subject = capsule.subject;
      is_owner = isOwner;
      is_controller = capsule.controllers.containsKey(key);
      is_self_capsule = isOwner and Persons.isPrincipal(capsule.subject, caller);
      bound_to_web2 = capsule.bound_to_web2;
      created_at = capsule.created_at;
      updated_at = capsule.updated_at;
    };
  };

  /// The whole capsule: all of its connections, groups and galleries, and as many memories as `get_capsule` shows, as far
  /// as they fit the reply, in this order.
  public func view(capsule : Store.Capsule) : Types.Capsule {
    let record_ = record(capsule);
    var bytes = 0;
    /// Is there room for a record too, and its key with a length before it?
    func fits(key : Text, recordBytes : Nat) : Bool {
      bytes += key.encodeUtf8().size() + 2 + recordBytes;
      bytes <= Limits.capsuleViewBytes;
    };
    func fitting<T>(items : Map.Map<Text, Store.Sealed<T>>) : Iter.Iter<(Text, Store.Sealed<T>)> {
      items.entries().takeWhile(func((key, { seal })) = fits(key, seal.record_bytes));
    };
    let connections = fitting(capsule.connections).map(
      func((_, { record })) = { key = record.peer; value = record }
    ).toArray();
    let connection_groups = fitting(capsule.groups).map(func((key, { record })) = { key; value = record }).toArray();
    let galleries = fitting(capsule.galleries).map(func((key, { record })) = { key; value = record }).toArray();
    let memories = capsule.memories.entries().take(Limits.capsuleViewMemories).takeWhile(
      func((key, { record_bytes })) = fits(key, record_bytes)
    ).map(func((key, memory)) = { key; value = Seal.recordOf(memory) }).toArray();
    let memory_count = Nat64.fromNat(capsule.memories.size());
    { record_ with connections; connection_groups; memories; memory_count; galleries };
  };
};
