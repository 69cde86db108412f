/// The receipts of what was erased, certified: the backend's certified data is the root of a tree with one leaf for each
/// owner. Owns the tree, and how a receipt is hashed; a receipt itself is kept with its creation.
import CertifiedData "mo:core/CertifiedData";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Capsule "../capsule/Types";
import Contents "../capsule/Contents";
import MerkleTree "../capsule/MerkleTree";
import Sha256 "../capsule/sha256/Sha256";

module {
  public type State = { tree : MerkleTree.Tree };

  /// What stands before a receipt where it is hashed.
  let scheme = "canister-factory-erasure-1";

  /// No receipts; their nodes are in the contents' region.
  public func start(contents : Contents.Contents) : State = { tree = MerkleTree.empty(MerkleTree.nodes(contents)) };

  /// Certifies the receipt in the place of the owner's earlier one. `LimitExceeded`: there is no room for it.
  public func add(state : State, owner : Principal, encoded : Blob) : Capsule.UnitResult {
    switch (MerkleTree.reserve(state.tree.nodes, 1)) { case (#Ok) {}; case problem return problem };
    let hash = Sha256.new();
    Sha256.update(hash, scheme.encodeUtf8());
    Sha256.update(hash, encoded);
    MerkleTree.put(state.tree, key(owner), Sha256.digest(hash));
    certify(state);
    #Ok;
  };

  func key(owner : Principal) : Blob = Sha256.hash(owner.toBlob());

  /// After each change, and after an upgrade.
  public func certify(state : State) { if (state.tree.size > 0) CertifiedData.set(MerkleTree.root(state.tree)) };

  /// The way from the owner's receipt to the root.
  public func witness(state : State, owner : Principal) : [MerkleTree.Step] = MerkleTree.witness(state.tree, key(owner));
};
