/// The record of every creation, one per owner, and the indices that answer "which have this status" and "which are open"
/// without a scan. Stores and finds; which transition is legal is decided in `Creation`.

import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Order "mo:core/Order";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Text "mo:core/Text";

import Types "../capsule/Types";
import BoundedLog "BoundedLog";
import Leases "Leases";
import T "BackendTypes";

module {
  public type Creation = {
    owner : Principal;
    capsuleId : Text;
    createdAt : Nat64;
    var requestedAt : Nat64; // start of the present attempt: its place in the queue
    var updatedAt : Nat64;
    var completedAt : ?Nat64;
    var status : T.CreationStatus;
    var canisterId : ?Principal;
    var config : T.CreatePersonalCanisterConfig;
    var attempts : Nat32;
    var cyclesConsumed : Nat;
    var cyclesHeld : Nat; // of the reserve, while this creation is open and has no canister
    var error : ?T.CreationError;
    var progress : T.CreationProgress;
    var progressMessage : Text;
    var sourceManifest : ?Types.CapsuleManifest;
    var verifiedRevision : ?Nat64; // the capsule's revision that the target was equal to
    var sealedUntil : Nat64; // writes stay refused until then, whoever holds the lease
    var lease : ?Leases.Lease;
  };

  public type State = {
    byOwner : Map.Map<Principal, Creation>;
    byCapsule : Map.Map<Text, Creation>;
    byStatus : [Set.Set<Principal>]; // by rank
    open : Set.Set<Place>;
  };

  /// Open creations wait in the order of their requests.
  type Place = (Nat64, Principal);

  public func start() : State {
    {
      byOwner = Map.empty<Principal, Creation>();
      byCapsule = Map.empty<Text, Creation>();
      byStatus = [
        Set.empty<Principal>(),
        Set.empty<Principal>(),
        Set.empty<Principal>(),
        Set.empty<Principal>(),
        Set.empty<Principal>(),
        Set.empty<Principal>(),
        Set.empty<Principal>(),
        Set.empty<Principal>(),
      ];
      open = Set.empty<Place>();
    };
  };

  /// The order of the stages.
  public func rank(status : T.CreationStatus) : Nat {
    switch status {
      case (#NotStarted) 0;
      case (#Exporting) 1;
      case (#Creating) 2;
      case (#Installing) 3;
      case (#Importing) 4;
      case (#Verifying) 5;
      case (#Completed) 6;
      case (#Failed) 7;
    };
  };

  public func isOpen(creation : Creation) : Bool { creation.status != #Completed and creation.status != #Failed };

  public func get(state : State, owner : Principal) : ?Creation { Map.get(state.byOwner, Principal.compare, owner) };

  public func ofCapsule(state : State, capsuleId : Text) : ?Creation {
    Map.get(state.byCapsule, Text.compare, capsuleId);
  };

  public func openCount(state : State) : Nat { Set.size(state.open) };

  /// A creation with nothing done yet.
  public func add(state : State, owner : Principal, capsuleId : Text, now : Nat64) : Creation {
    let creation : Creation = {
      owner;
      capsuleId;
      createdAt = now;
      var requestedAt = now;
      var updatedAt = now;
      var completedAt = null;
      var status = #NotStarted;
      var canisterId = null;
      var config = { name = null; subnet_id = null };
      var attempts = 0;
      var cyclesConsumed = 0;
      var cyclesHeld = 0;
      var error = null;
      var progress = noProgress();
      var progressMessage = "";
      var sourceManifest = null;
      var verifiedRevision = null;
      var sealedUntil = 0;
      var lease = null;
    };
    Map.add(state.byOwner, Principal.compare, owner, creation);
    Map.add(state.byCapsule, Text.compare, capsuleId, creation);
    index(state, creation);
    creation;
  };

  public func noProgress() : T.CreationProgress {
    { stage = #NotStarted; bytes_done = 0; bytes_total = 0; items_done = 0; items_total = 0 };
  };

  public func remove(state : State, creation : Creation) {
    unindex(state, creation);
    Map.remove(state.byCapsule, Text.compare, creation.capsuleId);
    Map.remove(state.byOwner, Principal.compare, creation.owner);
  };

  public func move(state : State, creation : Creation, status : T.CreationStatus, now : Nat64) {
    unindex(state, creation);
    creation.status := status;
    creation.updatedAt := now;
    index(state, creation);
  };

  /// Back into the queue, behind those who wait already.
  public func requeue(state : State, creation : Creation, now : Nat64) {
    unindex(state, creation);
    creation.status := #NotStarted;
    creation.requestedAt := now;
    creation.updatedAt := now;
    index(state, creation);
  };

  public func all(state : State, request : T.OwnerPageRequest) : { items : [Creation]; next : ?Principal; total : Nat64 } {
    let entries = switch (request.after) {
      case null Map.entries(state.byOwner);
      case (?owner) Map.entriesFrom(state.byOwner, Principal.compare, owner);
    };
    let creations = Iter.map<(Principal, Creation), Creation>(entries, func((_, creation)) = creation);
    { page(creations, request) with total = Nat64.fromNat(Map.size(state.byOwner)) };
  };

  public func withStatus(
    state : State,
    status : T.CreationStatus,
    request : T.OwnerPageRequest,
  ) : { items : [Creation]; next : ?Principal; total : Nat64 } {
    let owners = state.byStatus[rank(status)];
    let selected = switch (request.after) {
      case null Set.values(owners);
      case (?owner) Set.valuesFrom(owners, Principal.compare, owner);
    };
    let creations = Iter.filterMap<Principal, Creation>(selected, func(owner) = get(state, owner));
    { page(creations, request) with total = Nat64.fromNat(Set.size(owners)) };
  };

  /// Oldest request first. An `after` that is known no more starts from the beginning.
  public func openRequests(state : State, request : T.OwnerPageRequest) : { items : [Creation]; next : ?Principal } {
    let after = switch (request.after) { case (?owner) get(state, owner); case null null };
    let places = switch after {
      case null Set.values(state.open);
      case (?creation) Set.valuesFrom(state.open, comparePlace, (creation.requestedAt, creation.owner));
    };
    page(Iter.filterMap<Place, Creation>(places, func((_, owner)) = get(state, owner)), request);
  };

  func page(creations : Iter.Iter<Creation>, request : T.OwnerPageRequest) : { items : [Creation]; next : ?Principal } {
    let limit = BoundedLog.pageLimit(request.limit);
    let items = List.empty<Creation>();
    var last : ?Principal = null;
    for (creation in creations) {
      if (?creation.owner != request.after) {
        if (List.size(items) == limit) return { items = List.toArray(items); next = last };
        List.add(items, creation);
        last := ?creation.owner;
      };
    };
    { items = List.toArray(items); next = null };
  };

  func index(state : State, creation : Creation) {
    Set.add(state.byStatus[rank(creation.status)], Principal.compare, creation.owner);
    if (isOpen(creation)) Set.add(state.open, comparePlace, (creation.requestedAt, creation.owner));
  };

  func unindex(state : State, creation : Creation) {
    Set.remove(state.byStatus[rank(creation.status)], Principal.compare, creation.owner);
    if (isOpen(creation)) Set.remove(state.open, comparePlace, (creation.requestedAt, creation.owner));
  };

  func comparePlace(a : Place, b : Place) : Order.Order {
    switch (Nat64.compare(a.0, b.0)) { case (#equal) Principal.compare(a.1, b.1); case order order };
  };
};
