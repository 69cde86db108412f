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

  /// Does nothing when the canister isn't known.
  public func setStatus(state : State, canisterId : Principal, status : Types.CreationStatus) {
    switch (get(state, canisterId)) {
      case (?entry) add(state, { entry with status });
      case null {};
    };
  };

  /// Adds to what the canister has cost, or takes it off. Does nothing when the canister isn't known.
  public func charge(state : State, canisterId : Principal, cycles : Int) {
    switch (get(state, canisterId)) {
      case (?entry) add(state, { entry with cycles_consumed = Int.toNat(Int.max(0, entry.cycles_consumed + cycles)) });
      case null {};
    };
  };

  /// Until when the canister takes updates. Does nothing when it isn't known.
  public func setPaidUntil(state : State, canisterId : Principal, paid_until : ?Nat64) {
    switch (get(state, canisterId)) {
      case (?entry) add(state, { entry with paid_until });
      case null {};
    };
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
