/// The cycles that creations took of the reserve within the last 24 hours, and whether a creation may take more. Owns this
/// count. How much a day may take is a setting of the reserve, and what creations hold is in its books (`Reserve`).
///
/// What a day has taken and what is held are together never more than the budget: what is held becomes what is taken, and
/// nothing is held without room. So a request that was admitted is never too much later on, unless an admin lowers the budget
/// or the capsule has grown.
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";

module {
  /// By five minutes since 1970; older ones are forgotten.
  public type State = { spent : Map.Map<Nat64, Nat> };

  public let dayNs : Nat64 = 86_400_000_000_000;
  let slotNs : Nat64 = 300_000_000_000;

  /// Nothing taken.
  public func start() : State = { spent = Map.empty<Nat64, Nat>() };

  /// Counts cycles that were taken now, for 24 hours and up to five minutes more.
  public func spend(state : State, amount : Nat, now : Nat64) {
    forget(state, now);
    add(state, now / slotNs, amount);
  };

  /// Takes back what came back of cycles that were taken at the time `at`.
  public func refund(state : State, amount : Nat, at : Nat64) {
    switch (state.spent.get(at / slotNs)) {
      case (?taken) state.spent.add(at / slotNs, less(taken, amount));
      case null {};
    };
  };

  /// What the last 24 hours have taken.
  public func spent(state : State, now : Nat64) : Nat {
    var sum = 0;
    for ((slot, amount) in state.spent.entries()) if (forgottenAt(slot) > now) sum += amount;
    sum;
  };

  /// `At`: when enough was taken long enough ago. `Later`: what is held is in the way, and nobody knows for how long.
  /// `Never`: it is more than a day's budget.
  public type Room = { #Now; #At : Nat64; #Later; #Never };

  /// Whether there is room for `amount` beside what others hold.
  public func room(state : State, budget : Nat, held : Nat, amount : Nat, now : Nat64) : Room {
    if (amount > budget) return #Never;
    var sum = spent(state, now) + held + amount;
    if (sum <= budget) return #Now;
    for ((slot, taken) in state.spent.entries()) {
      if (forgottenAt(slot) > now) {
        sum := less(sum, taken);
        if (sum <= budget) return #At(forgottenAt(slot));
      };
    };
    #Later;
  };

  func less(a : Nat, b : Nat) : Nat = if (a > b) a - b else 0;

  func forgottenAt(slot : Nat64) : Nat64 = (slot + 1) * slotNs + dayNs;

  func add(state : State, slot : Nat64, amount : Nat) {
    let before = switch (state.spent.get(slot)) { case (?taken) taken; case null 0 };
    state.spent.add(slot, before + amount);
  };

  func forget(state : State, now : Nat64) {
    loop {
      let ?(slot, _) = state.spent.minEntry() else return;
      if (forgottenAt(slot) > now) return;
      state.spent.remove(slot);
    };
  };
};
