/// Tells cycles that were deposited from all else that moves the balance. A canister is told of cycles that come with a
/// call, and of no others: what the management canister or a ledger deposits only raises the balance. Nothing here
/// moves cycles.
import Nat "mo:core/Nat";

module {
  /// The system holds back cycles for a message that runs and for each call that is under way, so that the balance
  /// seems lower for a while. A rise that only ends this is no deposit. While a module is installed it is more: up to
  /// 300 G instructions. Both are what the dearest network holds back: 34 nodes, where an instruction of a 64-bit
  /// module counts twice.
  let heldBack = 250_000_000_000;
  let heldBackAtInstallation = 1_700_000_000_000;

  /// A "level" is the balance and what creations took of it so far, together. Deposits raise it, running costs lower
  /// it, creations leave it as it is. `seen` is never below the real level at the last look, so that what was counted
  /// is never more than what came in, while the system holds back no more than supposed here. It is less by the running
  /// costs since the deposit before, up to `HELD_BACK` and as much again for each call that was under way.
  public type State = { var seen : Nat };

  /// Nothing is counted of what is there at the installation.
  public func start(level : Nat) : State = { var seen = level + heldBackAtInstallation };

  /// What came in since the last look, at least.
  public func since(state : State, level : Nat) : Nat = if (level > state.seen) level - state.seen else 0;

  /// The same, counted once: the next look begins here. `underWay`: calls of the canister that have no answer yet.
  public func look(state : State, level : Nat, underWay : Nat) : Nat {
    let arrived = since(state, level);
    state.seen := if (arrived > 0) level else Nat.min(state.seen, level + heldBack * (1 + underWay));
    arrived;
  };

  /// Cycles that came with a call, which were counted exactly.
  public func told(state : State, amount : Nat) { state.seen += amount };
};
