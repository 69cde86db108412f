/// When this backend's state was put back to an earlier one: a backup or a snapshot was loaded, into this canister or, by a
/// restore, into another one. What the state has as still to be done may have been done meanwhile. The state itself can't
/// tell; the network does, in the canister's history. Owns what is known of that; who asks is decided elsewhere.
import Nat64 "mo:core/Nat64";
import CanisterHistory "../capsule/CanisterHistory";

module {
  /// `lastAt`: nanoseconds since 1970, 0 for never. `isKnown`: the network was asked since the module started.
  public type State = { var lastAt : Nat64; var isKnown : Bool };

  /// Nothing is known yet.
  public func start() : State = { var lastAt = 0; var isKnown = false };

  /// From what the network tells of this canister.
  public func learn(state : State, history : CanisterHistory.History) {
    for ({ details; timestamp_nanos } in history.recent_changes.values()) {
      switch details {
        case (?#load_snapshot _) state.lastAt := Nat64.max(state.lastAt, timestamp_nanos);
        case _ {};
      };
    };
    state.isKnown := true;
  };

  /// Whether what was the case at `at` may be of a state that another one has overtaken.
  public func isBefore(state : State, at : Nat64) : Bool = state.lastAt != 0 and at <= state.lastAt;
};
