/// What the backend holds, in few numbers and one hash: whoever restores a backup compares them. Has no state.
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import MerkleTree "../capsule/MerkleTree";
import Store "../capsule/Store";
import Sha256 "../capsule/sha256/Sha256";
import Creations "Creations";
import Registry "Registry";
import Types "Types";

module {
  /// Takes about as long as there are capsules and canisters; the items of capsules are not looked at.
  public func take(store : Store.Store, creations : Creations.State, registry : Registry.State) : Types.BackendInventory {
    let whole = Sha256.new();
    var memories = 0;
    for (capsule in store.capsules.values()) {
      memories += capsule.memories.size();
      Sha256.update(whole, MerkleTree.root(capsule.tree));
    };
    for (canisterId in registry.entries.keys()) { Sha256.update(whole, canisterId.toBlob()) };
    {
      capsules = Nat64.fromNat(store.capsules.size());
      memories = Nat64.fromNat(memories);
      canisters = Nat64.fromNat(registry.entries.size());
      creations = Nat64.fromNat(creations.byOwner.size());
      open_creations = Nat64.fromNat(creations.open.size() + creations.waiting.size());
      root = Sha256.digest(whole);
    };
  };
};
