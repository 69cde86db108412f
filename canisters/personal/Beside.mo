/// What the canister holds beside the one capsule: a manifest covers that capsule only, and whoever is handed a canister
/// wants nothing else in it. Owns this count.
import Int "mo:core/Int";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Text "mo:core/Text";
import Capsule "../capsule/Types";
import Store "../capsule/Store";
import ImportState "ImportState";

module {
  /// What a canister that was found good holds beside its capsule.
  public let nothing : Capsule.Beside = {
    capsules = 0;
    items = 0;
    people = 0;
    uploads = 0;
    nonces = 0;
    pending_memories = 0;
    pending_bytes = 0;
  };

  func difference(a : Nat, b : Nat) : Nat64 = Nat64.fromNat(Int.abs(a - b));

  /// Looks at as many entries as the capsule has owners and controllers.
  public func count(store : Store.Store, state : ImportState.State, owner : Principal) : Capsule.Beside {
    let capsule = state.capsule;
    {
      capsules = difference(store.capsules.size(), if (store.capsules.containsKey(capsule.id)) 1 else 0);
      items = difference(store.memory_homes.size(), capsule.memories.size())
      + difference(store.gallery_homes.size(), capsule.galleries.size());
      people = people(store, capsule, owner);
      uploads = Nat64.fromNat(store.uploads.size());
      nonces = Nat64.fromNat(store.nonces.size());
      pending_memories = Nat64.fromNat(state.pending.size());
      pending_bytes = state.staged_bytes;
    };
  };

  /// Of those who are registered, and those under whom capsules are found.
  func people(store : Store.Store, capsule : Store.Capsule, owner : Principal) : Nat64 {
    let named = Set.singleton(owner);
    for ((person, _) in capsule.owners.values()) name(named, person);
    for ((person, _) in capsule.controllers.values()) name(named, person);
    var users = 0;
    var writers = 0;
    for (person in named.values()) {
      if (store.users.containsKey(person)) users += 1;
      if (store.capsules_of.containsKey(person)) writers += 1;
    };
    let subjects = if (store.self_capsules.containsKey(owner)) 1 else 0;
    difference(store.users.size(), users) + difference(store.capsules_of.size(), writers)
    + difference(store.self_capsules.size(), subjects);
  };

  func name(named : Set.Set<Principal>, person : Capsule.PersonRef) = switch person {
    case (#Principal principal) named.add(principal);
    case (#Opaque _) {};
  };
};
