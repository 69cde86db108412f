/// The record of every creation, one per owner, and the indices that answer "which have this status" and "which are
/// open" without a scan. Stores and finds; which transition is legal is decided in `Creation`.
import Array "mo:core/Array";
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Order "mo:core/Order";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Text "mo:core/Text";
import Capsule "../capsule/Types";
import Pages "../capsule/Pages";
import History "History";
import Leases "Leases";
import Types "Types";

module {
  public type Creation = {
    owner : Principal;
    capsuleId : Text;
    createdAt : Nat64;
    /// Start of the present attempt: its place in the queue.
    var requestedAt : Nat64;
    var updatedAt : Nat64;
    var completedAt : ?Nat64;
    var status : Types.CreationStatus;
    /// NotStarted, and nobody may start it before an admin approves it.
    var waits : Bool;
    /// An admin has approved it; its retries need no other approval, unless a canister was lost.
    var approved : Bool;
    var canisterId : ?Principal;
    /// Who had the canister created, or is having it created, and controlled it beside the owner; then each that took the
    /// place of the one before. The creation belongs to the last.
    var operators : [Principal];
    var config : Types.CreatePersonalCanisterConfig;
    var attempts : Nat32;
    /// Times of those within the last hour, when the latest was made.
    var attemptsAt : [Nat64];
    /// Failures in a row, and the time of the last one.
    var failures : Nat32;
    var failedAt : Nat64;
    var cyclesHeld : Nat; // of the reserve: what this creation may still use
    /// The consumption log's entry of its canister, what that gets at its completion (cycles), and how far that is.
    var entry : Nat64;
    var rest : Nat;
    var payment : Payment;
    /// When its owner alone controlled the canister for the first time, as was told at the completion: nanoseconds since 1970,
    /// 0 where it wasn't told.
    var ownedSince : Nat64;
    /// What the network told of its canister at its verification; once it's completed, until when that takes updates.
    var seen : ?Types.Seen;
    var paidUntil : ?Nat64;
    var error : ?Types.CreationError;
    var progress : Types.CreationProgress;
    var progressMessage : Text;
    var sourceManifest : ?Capsule.CapsuleManifest;
    /// The capsule's revision that the target was equal to.
    var verifiedRevision : ?Nat64;
    /// Of the canister's history, when its content was found equal to the capsule.
    var attested : ?History.Attested;
    /// The canister's module at that time.
    var verifiedModule : ?Blob;
    /// Earlier canisters of this creation, which can't become the owner's.
    var lost : [Principal];
    /// Not 0: the handoff may be under way. Writes stay refused, whoever holds the lease, until the backend has looked
    /// at the canister, which it does then.
    var sealedUntil : Nat64;
    var lease : ?Leases.Lease;
    var undoneAt : ?Nat64;
    /// Canisters of this creation that its owner has got and kept.
    var undone : Nat;
    /// Not 0: the owner's writes were let in until then, to bring back what was written on the personal canister.
    var moveBackUntil : Nat64;
    var erasure : ?Erasure;
  };

  /// Of the capsule's contents here. `nextAt`: when the backend sees to it again.
  public type Erasure = {
    requestedAt : Nat64;
    dueAt : Nat64;
    var nextAt : Nat64;
    var begun : ?Begun;
    var erasedAt : ?Nat64;
    var message : Text;
    var receipt : ?Blob;
  };

  /// What there was here when the erasing began, and what the personal canister had got.
  public type Begun = { at : Nat64; memories : Nat64; contentSize : Nat64; manifestHash : Blob; importedHash : Blob };

  /// Of the rest of a completed creation's cycles (`Endowment`). `Doubted`: it may have been paid by a later state of this
  /// backend than the one that was loaded since.
  public type Payment = { #None; #Owed; #Sent; #Paid; #Unknown; #Doubted };

  public type State = {
    byOwner : Map.Map<Principal, Creation>;
    byCapsule : Map.Map<Text, Creation>;
    /// By rank.
    byStatus : [Set.Set<Principal>];
    open : Set.Set<Place>;
    /// Those that wait for approval; they aren't among the open ones.
    waiting : Set.Set<Place>;
    /// Owners whose creation is sealed.
    sealed : Set.Set<Principal>;
    /// Owners whose canister hasn't got the rest of its cycles.
    owed : Set.Set<Principal>;
    /// Those whose contents here are to be erased, by when that goes on.
    erasures : Set.Set<Place>;
  };

  /// Open creations wait in the order of their requests.
  type Place = (Nat64, Principal);

  /// No creations.
  public func start() : State {
    {
      byOwner = Map.empty<Principal, Creation>();
      byCapsule = Map.empty<Text, Creation>();
      byStatus = [
        Set.empty<Principal>(), Set.empty<Principal>(), Set.empty<Principal>(),
        Set.empty<Principal>(), Set.empty<Principal>(), Set.empty<Principal>(),
        Set.empty<Principal>(), Set.empty<Principal>(), Set.empty<Principal>(),
      ];
      open = Set.empty<Place>();
      waiting = Set.empty<Place>();
      sealed = Set.empty<Principal>();
      owed = Set.empty<Principal>();
      erasures = Set.empty<Place>();
    };
  };

  /// The order of the stages.
  public func rank(status : Types.CreationStatus) : Nat {
    switch status {
      case (#NotStarted) 0;
      case (#Exporting) 1;
      case (#Creating) 2;
      case (#Installing) 3;
      case (#Importing) 4;
      case (#Verifying) 5;
      case (#Completed) 6;
      case (#Failed) 7;
      case (#Undone) 8;
    };
  };

  /// Whom the creation belongs to, since it has a canister.
  public func operator(creation : Creation) : ?Principal {
    let count = creation.operators.size();
    if (count == 0) null else ?creation.operators[count - 1];
  };

  /// Has it neither been completed nor failed?
  public func isOpen(creation : Creation) : Bool = switch (creation.status) {
    case (#Completed or #Failed or #Undone) false;
    case _ true;
  };

  /// The owner's creation, also one that has ended.
  public func get(state : State, owner : Principal) : ?Creation = state.byOwner.get(owner);

  /// The owner's creation, if it waits for approval.
  public func waiting(state : State, owner : Principal) : ?Creation = switch (get(state, owner)) {
    case (?creation) if (creation.waits) ?creation else null;
    case null null;
  };

  /// The creation that moves this capsule.
  public func ofCapsule(state : State, capsuleId : Text) : ?Creation = state.byCapsule.get(capsuleId);

  /// How many are open, over all owners; not those that wait for approval.
  public func openCount(state : State) : Nat = state.open.size();

  /// How many wait for approval.
  public func waitingCount(state : State) : Nat = state.waiting.size();

  /// A creation with nothing done yet.
  public func add(state : State, owner : Principal, capsuleId : Text, waits : Bool, now : Nat64) : Creation {
    let creation : Creation = {
      owner;
      capsuleId;
      createdAt = now;
      var requestedAt = now;
      var updatedAt = now;
      var completedAt = null;
      var status = #NotStarted;
      var waits = waits;
      var approved = false;
      var canisterId = null;
      var operators = [];
      var config = { name = null; subnet_id = null; show_status = null };
      var attempts = 0;
      var attemptsAt = [];
      var failures = 0;
      var failedAt = 0;
      var cyclesHeld = 0;
      var entry = 0;
      var rest = 0;
      var payment = #None;
      var ownedSince = 0;
      var seen = null;
      var paidUntil = null;
      var error = null;
      var progress = noProgress();
      var progressMessage = "";
      var sourceManifest = null;
      var verifiedRevision = null;
      var attested = null;
      var verifiedModule = null;
      var lost = [];
      var sealedUntil = 0;
      var lease = null;
      var undoneAt = null;
      var undone = 0;
      var moveBackUntil = 0;
      var erasure = null;
    };
    state.byOwner.add(owner, creation);
    state.byCapsule.add(capsuleId, creation);
    index(state, creation);
    creation;
  };

  /// Progress before anything is done.
  public func noProgress() : Types.CreationProgress {
    { stage = #NotStarted; bytes_done = 0; bytes_total = 0; items_done = 0; items_total = 0 };
  };

  /// Seals the creation's capsule, at least until then.
  public func seal(state : State, creation : Creation, until : Nat64) {
    creation.sealedUntil := until;
    state.sealed.add(creation.owner);
  };

  /// Lifts the seal.
  public func unseal(state : State, creation : Creation) {
    creation.sealedUntil := 0;
    state.sealed.remove(creation.owner);
  };

  /// Those with a seal.
  public func sealed(state : State) : Iter.Iter<Creation> = state.sealed.values().filterMap(func owner = get(state, owner));

  /// Those whose canister hasn't got the rest of its cycles, as they are now: the set changes when one gets it.
  public func owed(state : State) : Iter.Iter<Creation> {
    state.owed.toArray().values().filterMap(func owner = get(state, owner));
  };

  /// When the erasure goes on; null: it doesn't.
  public func setErasure(state : State, creation : Creation, erasure : Erasure, nextAt : ?Nat64) {
    state.erasures.remove(comparePlace, (erasure.nextAt, creation.owner));
    let ?at = nextAt else return;
    erasure.nextAt := at;
    state.erasures.add(comparePlace, (at, creation.owner));
  };

  /// The erasure that is to go on first, and when.
  public func nextErasure(state : State) : ?(Nat64, Principal) = state.erasures.min();

  /// Forgets the creation.
  public func remove(state : State, creation : Creation) {
    unseal(state, creation);
    switch (creation.erasure) { case (?erasure) setErasure(state, creation, erasure, null); case null {} };
    unindex(state, creation);
    state.byCapsule.remove(creation.capsuleId);
    state.byOwner.remove(creation.owner);
  };

  /// To another status, in the indices too; that ends the waiting for approval.
  public func move(state : State, creation : Creation, status : Types.CreationStatus, now : Nat64) {
    unindex(state, creation);
    creation.status := status;
    creation.waits := false;
    creation.updatedAt := now;
    index(state, creation);
  };

  /// Back into the queue, or to those who wait for approval, behind whoever is there already.
  public func requeue(state : State, creation : Creation, waits : Bool, now : Nat64) {
    unindex(state, creation);
    if (creation.status == #Undone) takeAnother(creation);
    creation.status := #NotStarted;
    creation.waits := waits;
    creation.requestedAt := now;
    creation.updatedAt := now;
    index(state, creation);
  };

  /// The canister that its owner kept has no part in the creation any more.
  func takeAnother(creation : Creation) {
    creation.canisterId := null;
    creation.operators := [];
    creation.completedAt := null;
    creation.undoneAt := null;
    creation.erasure := null;
    creation.entry := 0;
    creation.rest := 0;
    creation.payment := #None;
    creation.ownedSince := 0;
    creation.seen := null;
    creation.paidUntil := null;
    creation.sourceManifest := null;
    creation.verifiedRevision := null;
    creation.attested := null;
    creation.verifiedModule := null;
  };

  /// In the order of owners; `after` is the last owner of the page before.
  public func all(
    state : State,
    request : Types.OwnerPageRequest,
  ) : { items : [Creation]; next : ?Principal; total : Nat64 } {
    let entries = switch (request.after) {
      case null state.byOwner.entries();
      case (?owner) state.byOwner.entriesFrom(owner);
    };
    let creations = entries.map(func((_, creation)) = creation);
    { page(creations, request) with total = Nat64.fromNat(state.byOwner.size()) };
  };

  /// Those with one status, in the order of owners.
  public func withStatus(
    state : State,
    status : Types.CreationStatus,
    request : Types.OwnerPageRequest,
  ) : { items : [Creation]; next : ?Principal; total : Nat64 } {
    let owners = state.byStatus[rank(status)];
    let selected = switch (request.after) {
      case null owners.values();
      case (?owner) owners.valuesFrom(owner);
    };
    let creations = selected.filterMap(func(owner) = get(state, owner));
    { page(creations, request) with total = Nat64.fromNat(owners.size()) };
  };

  /// Oldest request first. An `after` that is known no more starts from the beginning.
  public func openRequests(
    state : State,
    request : Types.OwnerPageRequest,
  ) : { items : [Creation]; next : ?Principal } = inOrder(state, state.open, request);

  /// Those that wait for approval, in the same order.
  public func waitingRequests(
    state : State,
    request : Types.OwnerPageRequest,
  ) : { items : [Creation]; next : ?Principal } = inOrder(state, state.waiting, request);

  func inOrder(
    state : State,
    queue : Set.Set<Place>,
    request : Types.OwnerPageRequest,
  ) : { items : [Creation]; next : ?Principal } {
    let after = switch (request.after) { case (?owner) get(state, owner); case null null };
    let places = switch after {
      case null queue.values();
      case (?creation) queue.valuesFrom(comparePlace, (creation.requestedAt, creation.owner));
    };
    page(places.filterMap(func((_, owner)) = get(state, owner)), request);
  };

  func page(
    creations : Iter.Iter<Creation>,
    request : Types.OwnerPageRequest,
  ) : { items : [Creation]; next : ?Principal } {
    let limit = Pages.size(request.limit);
    let items = List.empty<Creation>();
    var last : ?Principal = null;
    for (creation in creations) {
      if (?creation.owner != request.after) {
        if (items.size() == limit) return { items = items.toArray(); next = last };
        items.add(creation);
        last := ?creation.owner;
      };
    };
    { items = items.toArray(); next = null };
  };

  func index(state : State, creation : Creation) {
    state.byStatus[rank(creation.status)].add(creation.owner);
    if (isOpen(creation)) queueOf(state, creation).add(comparePlace, (creation.requestedAt, creation.owner));
  };

  func unindex(state : State, creation : Creation) {
    state.byStatus[rank(creation.status)].remove(creation.owner);
    if (isOpen(creation)) queueOf(state, creation).remove(comparePlace, (creation.requestedAt, creation.owner));
  };

  func queueOf(state : State, creation : Creation) : Set.Set<Place> {
    if (creation.waits) state.waiting else state.open;
  };

  func comparePlace(a : Place, b : Place) : Order.Order {
    switch (Nat64.compare(a.0, b.0)) { case (#equal) Principal.compare(a.1, b.1); case order order };
  };
};
