/// The cycles that pay for creations: what is available, what a creation needs, what was consumed. The amounts derive from
/// the canister's real balance, which callers pass in; nothing here moves cycles. All amounts are cycles.

import Int "mo:core/Int";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";

import BoundedLog "BoundedLog";
import Deposits "Deposits";
import Errors "CreationErrors";
import T "BackendTypes";

module {
  /// A canister's creation costs 500 B cycles; the rest is its start balance. A byte by ingress costs 2,000 cycles, about
  /// 200 to process, and the remainder keeps it stored for years. The minimum keeps the backend itself running.
  public let DEFAULT_SETTINGS : T.ReserveSettings = {
    threshold = 5_000_000_000_000;
    operating_minimum = 2_000_000_000_000;
    creation_base_cycles = 1_000_000_000_000;
    creation_cycles_per_byte = 4_000;
  };
  /// The management canister charges this much for a new canister; a smaller base could create nothing.
  let CREATION_FEE = 500_000_000_000;
  public let DEFAULT_WINDOW_NS : Nat64 = 86_400_000_000_000;

  public type State = {
    var settings : T.ReserveSettings;
    var inFlight : Nat; // what open creations may still attach
    var totalConsumed : Nat;
    var totalToppedUp : Nat;
    consumption : BoundedLog.Log<T.ConsumptionEntry>;
  };

  public func start(settings : ?T.ReserveSettings) : State {
    {
      var settings = switch settings { case (?some) some; case null DEFAULT_SETTINGS };
      var inFlight = 0;
      var totalConsumed = 0;
      var totalToppedUp = 0;
      consumption = BoundedLog.empty<T.ConsumptionEntry>();
    };
  };

  public func configure(state : State, settings : T.ReserveSettings) : T.CreationResult {
    if (settings.creation_base_cycles < CREATION_FEE) {
      return #Err(Errors.invalid(
        "creation_base_cycles is " # Nat.toText(settings.creation_base_cycles) # "; creating a canister costs "
        # Nat.toText(CREATION_FEE) # ", so it must be at least that."
      ));
    };
    state.settings := settings;
    #Ok;
  };

  public func needed(state : State, contentBytes : Nat64) : Nat {
    state.settings.creation_base_cycles + state.settings.creation_cycles_per_byte * Nat64.toNat(contentBytes);
  };

  public func available(state : State, balance : Nat) : Nat { Int.toNat(Int.max(0, headroom(state, balance))) };

  /// Null when `amount` is there. `alreadyReserved` is the part of `inFlight` that this very creation holds.
  public func preflight(state : State, balance : Nat, amount : Nat, alreadyReserved : Nat) : ?T.CreationError {
    let there = Int.toNat(Int.max(0, headroom(state, balance) + alreadyReserved));
    if (there >= amount) null else ?Errors.reserveInsufficient(amount, there);
  };

  /// Replaces what one creation holds of the reserve.
  public func hold(state : State, before : Nat, after : Nat) {
    state.inFlight := saturatingSub(state.inFlight, before) + after;
  };

  /// Written before the cycles leave, so that the books can only be too careful; `settle` corrects them by the refund.
  public func debit(state : State, owner : Principal, attached : Nat, now : Nat64) : Nat64 {
    state.totalConsumed += attached;
    BoundedLog.append<T.ConsumptionEntry>(
      state.consumption,
      func(id) = { id; at = now; owner; canister_id = null; attached; refunded = 0 },
    );
  };

  public func settle(state : State, id : Nat64, canister : ?Principal, refunded : Nat) {
    state.totalConsumed := saturatingSub(state.totalConsumed, refunded);
    switch (BoundedLog.get(state.consumption, id)) {
      case (?entry) BoundedLog.replace(state.consumption, id, { entry with canister_id = canister; refunded });
      case null {};
    };
  };

  public func alertLevel(state : State, balance : Nat) : T.AlertLevel {
    let there = available(state, balance);
    if (there >= state.settings.threshold) #Normal
    else if (2 * there <= state.settings.threshold) #Critical
    else #Warning;
  };

  /// Balance and what creations took, together: see `Deposits`.
  public func level(state : State, balance : Nat) : Nat { balance + state.totalConsumed };

  /// Counts what was deposited since the last look. Not between `debit` and the call that takes the cycles, nor between a
  /// refund and `settle`, when books and balance don't agree.
  public func countDeposits(state : State, deposits : Deposits.State, balance : Nat, underWay : Nat) {
    state.totalToppedUp += Deposits.look(deposits, level(state, balance), underWay);
  };

  /// Cycles that came with a call.
  public func accepted(state : State, deposits : Deposits.State, amount : Nat) {
    state.totalToppedUp += amount;
    Deposits.told(deposits, amount);
  };

  public func status(state : State, deposits : Deposits.State, balance : Nat) : T.ReserveStatus {
    let alert = alertLevel(state, balance);
    {
      balance;
      available = available(state, balance);
      in_flight = state.inFlight;
      settings = state.settings;
      total_consumed = state.totalConsumed;
      total_topped_up = state.totalToppedUp + Deposits.since(deposits, level(state, balance));
      alert_level = alert;
      recommended_top_up = switch alert {
        case (#Normal) 0;
        case _ Int.toNat(Int.max(0, 2 * state.settings.threshold - headroom(state, balance)));
      };
    };
  };

  /// Consumption of the last `windowNs` nanoseconds, as far back as the log goes.
  public func report(
    state : State,
    deposits : Deposits.State,
    balance : Nat,
    windowNs : Nat64,
    now : Nat64,
  ) : T.ConsumptionReport {
    let since = if (now > windowNs) now - windowNs else 0 : Nat64;
    var consumed = 0;
    var creations : Nat64 = 0;
    label entries for (entry in BoundedLog.newestFirst(state.consumption)) {
      if (entry.at < since) break entries;
      consumed += saturatingSub(entry.attached, entry.refunded);
      if (entry.canister_id != null) creations += 1;
    };
    let reserve = status(state, deposits, balance);
    {
      reserve;
      window_ns = windowNs;
      consumed_in_window = consumed;
      creations_in_window = creations;
      recommendation = recommendation(reserve, consumed);
    };
  };

  public func recommendation(reserve : T.ReserveStatus, consumedInWindow : Nat) : Text {
    switch (reserve.alert_level) {
      case (#Normal) {
        if (consumedInWindow > reserve.available) {
          "The window consumed more than is available now: top up before the next such period.";
        } else "Nothing to do.";
      };
      case _ {
        "Add " # Nat.toText(reserve.recommended_top_up) # " cycles: " # Nat.toText(reserve.available)
        # " are available, the threshold is " # Nat.toText(reserve.settings.threshold) # ".";
      };
    };
  };

  func headroom(state : State, balance : Nat) : Int {
    balance : Int - state.settings.operating_minimum - state.inFlight;
  };

  func saturatingSub(a : Nat, b : Nat) : Nat { if (a > b) a - b else 0 };
};
