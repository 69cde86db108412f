/// The registry of personal canisters: one entry per canister that was ever created here, kept when its creation is
/// cleared, so that no canister is forgotten. Entries follow their creation's status.

import List "mo:core/List";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";

import BoundedLog "BoundedLog";
import T "BackendTypes";

module {
  public type State = { entries : Map.Map<Principal, T.PersonalCanisterRecord> };

  public func start() : State { { entries = Map.empty<Principal, T.PersonalCanisterRecord>() } };

  public func add(state : State, entry : T.PersonalCanisterRecord) {
    Map.add(state.entries, Principal.compare, entry.canister_id, entry);
  };

  public func get(state : State, canisterId : Principal) : ?T.PersonalCanisterRecord {
    Map.get(state.entries, Principal.compare, canisterId);
  };

  public func setStatus(state : State, canisterId : Principal, status : T.CreationStatus) {
    switch (get(state, canisterId)) {
      case (?entry) add(state, { entry with status });
      case null {};
    };
  };

  /// In the order of canister ids; `after` is the last id of the page before.
  public func page(state : State, request : T.OwnerPageRequest) : T.RegistryPage {
    let limit = BoundedLog.pageLimit(request.limit);
    let total = Nat64.fromNat(Map.size(state.entries));
    let entries = switch (request.after) {
      case null Map.entries(state.entries);
      case (?canisterId) Map.entriesFrom(state.entries, Principal.compare, canisterId);
    };
    let items = List.empty<T.PersonalCanisterRecord>();
    var last : ?Principal = null;
    for ((canisterId, entry) in entries) {
      if (?canisterId != request.after) {
        if (List.size(items) == limit) return { items = List.toArray(items); next = last; total };
        List.add(items, entry);
        last := ?canisterId;
      };
    };
    { items = List.toArray(items); next = null; total };
  };
};
