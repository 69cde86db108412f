/// The registry of personal canisters: one entry per canister that was ever created here, kept when its creation is
/// cleared, so that no canister is forgotten. Entries follow their creation's status.
import Int "mo:core/Int";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Pages "../capsule/Pages";
import Types "Types";

module {
  public type State = { entries : Map.Map<Principal, Types.PersonalCanisterRecord> };

  /// No canisters.
  public func start() : State = { entries = Map.empty<Principal, Types.PersonalCanisterRecord>() };

  /// Adds an entry, or replaces that of the same canister.
  public func add(state : State, entry : Types.PersonalCanisterRecord) {
    state.entries.add(entry.canister_id, entry);
  };

  /// The entry of a canister that was created here.
  public func get(state : State, canisterId : Principal) : ?Types.PersonalCanisterRecord {
    state.entries.get(canisterId);
  };

  /// What the canister has cost, in cycles.
  public func cost(state : State, canisterId : Principal) : Nat {
    switch (get(state, canisterId)) { case (?entry) entry.cycles_consumed; case null 0 };
  };

  // What follows does nothing when the canister isn't known.

  func change(state : State, canisterId : Principal, changed : Types.PersonalCanisterRecord -> Types.PersonalCanisterRecord) {
    switch (get(state, canisterId)) { case (?entry) add(state, changed entry); case null {} };
  };

  /// The status of its creation.
  public func setStatus(state : State, canisterId : Principal, status : Types.CreationStatus) {
    change(state, canisterId, func entry = { entry with status });
  };

  /// Adds to what the canister has cost, or takes it off.
  public func charge(state : State, canisterId : Principal, cycles : Int) {
    change(
      state,
      canisterId,
      func entry = { entry with cycles_consumed = Int.toNat(Int.max(0, entry.cycles_consumed + cycles)) },
    );
  };

  /// Until when the canister takes updates.
  public func setPaidUntil(state : State, canisterId : Principal, paid_until : ?Nat64) {
    change(state, canisterId, func entry = { entry with paid_until });
  };

  /// It is there, and what was seen of it; null: its owner doesn't let the backend see it.
  public func setSeen(state : State, canisterId : Principal, seen : ?Types.CanisterSeen) {
    change(state, canisterId, func entry = { entry with seen; found_deleted_at = null });
  };

  /// The network has no such canister any more, or nothing in it, which is known from now on.
  public func setDeleted(state : State, canisterId : Principal, now : Nat64) {
    change(
      state,
      canisterId,
      func entry = if (entry.found_deleted_at != null) entry else {
        { entry with found_deleted_at = ?now; paid_until = null; seen = null };
      },
    );
  };

  /// In the order of canister ids; `after` is the last id of the page before.
  public func page(state : State, request : Types.OwnerPageRequest) : Types.RegistryPage {
    let limit = Pages.size(request.limit);
    let total = Nat64.fromNat(state.entries.size());
    let entries = switch (request.after) {
      case null state.entries.entries();
      case (?canisterId) state.entries.entriesFrom(canisterId);
    };
    let items = List.empty<Types.PersonalCanisterRecord>();
    var last : ?Principal = null;
    for ((canisterId, entry) in entries) {
      if (?canisterId != request.after) {
        if (items.size() == limit) return { items = items.toArray(); next = last; total };
        items.add(entry);
        last := ?canisterId;
      };
    };
    { items = items.toArray(); next = null; total };
  };
};
