/// The cycles that pay for creations: what is available, what a creation needs, what was consumed. The amounts derive
/// from the canister's real balance, which callers pass in; nothing here moves cycles. All amounts are cycles.
import Int "mo:core/Int";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import BoundedLog "BoundedLog";
import Budget "Budget";
import Deposits "Deposits";
import Errors "Errors";
import Funding "Funding";
import Types "Types";

module {
  /// A new canister lives for a year, besides its freezing threshold. The minimum keeps the backend itself running. A day's
  /// budget is more than a hundred small creations.
  public let defaultSettings : Types.ReserveSettings = {
    threshold = 5_000_000_000_000;
    operating_minimum = 2_000_000_000_000;
    funded_days = Funding.defaultFundedDays;
    prices = Funding.defaultPrices;
    cycles_per_day = 200_000_000_000_000;
  };
  public let defaultWindowNs : Nat64 = 86_400_000_000_000;

  /// The canister's real balance, and what of it must stay for the canister not to be frozen.
  public type Funds = { balance : Nat; frozen : Nat };

  public type State = {
    var settings : Types.ReserveSettings;
    /// What open creations may still attach.
    var inFlight : Nat;
    var totalConsumed : Nat;
    var totalToppedUp : Nat;
    budget : Budget.State;
    consumption : BoundedLog.Log<Types.ConsumptionEntry>;
  };

  /// With the default settings where none are given. Traps when those that are asked for can't be used, so that nobody
  /// installs a backend with other settings than asked for.
  public func start(asked : ?Types.ReserveSettings) : State {
    let settings = switch asked { case (?some) some; case null defaultSettings };
    switch (Funding.check(settings)) { case (?problem) Runtime.trap("reserve: " # problem.message); case null {} };
    {
      var settings;
      var inFlight = 0;
      var totalConsumed = 0;
      var totalToppedUp = 0;
      budget = Budget.start();
      consumption = BoundedLog.empty<Types.ConsumptionEntry>();
    };
  };

  /// Refuses what no canister can be funded by, and prices of another network; the present settings stay then.
  public func configure(
    state : State,
    settings : Types.ReserveSettings,
    canisters : Types.PersonalCanisterSettings,
  ) : Types.CreationResult {
    let problems = [
      Funding.check(settings),
      Funding.checkDays(settings, canisters),
      Funding.checkNetwork(state.settings.prices, settings.prices),
    ];
    for (problem in problems.values()) switch problem { case (?error) return #Err error; case null {} };
    state.settings := settings;
    #Ok;
  };

  /// What new creations may use: without what the backend itself needs and what open ones hold.
  public func available(state : State, funds : Funds) : Nat = Int.toNat(Int.max(0, headroom(state, funds)));

  /// Whether the balance is down to what the backend itself needs.
  public func atMinimum(state : State, funds : Funds) : Bool = funds.balance <= minimum(state, funds);

  /// The operating minimum, or what keeps the canister from being frozen where that is more.
  func minimum(state : State, funds : Funds) : Nat = Nat.max(state.settings.operating_minimum, funds.frozen);

  /// Null when `amount` is there. `alreadyReserved` is the part of `inFlight` that this very creation holds.
  public func preflight(state : State, funds : Funds, amount : Nat, alreadyReserved : Nat) : ?Types.CreationError {
    let there = Int.toNat(Int.max(0, headroom(state, funds) + alreadyReserved));
    if (there >= amount) null else ?Errors.reserveInsufficient(amount, there);
  };

  /// Null when a day's budget has room for `amount`. `alreadyReserved` as above.
  public func overBudget(state : State, amount : Nat, alreadyReserved : Nat, now : Nat64) : ?Types.CreationError {
    let budget = state.settings.cycles_per_day;
    let held = saturatingSub(state.inFlight, alreadyReserved);
    switch (Budget.room(state.budget, budget, held, amount, now)) {
      case (#Now) null;
      case room ?Errors.budgetSpent(amount, budget, Budget.spent(state.budget, now), held, room);
    };
  };

  /// Replaces what one creation holds of the reserve.
  public func hold(state : State, before : Nat, after : Nat) {
    state.inFlight := saturatingSub(state.inFlight, before) + after;
  };

  /// Written before the cycles leave, so that the books can only be too careful; `settle` corrects them by the refund.
  public func debit(state : State, owner : Principal, attached : Nat, now : Nat64) : Nat64 {
    state.totalConsumed += attached;
    Budget.spend(state.budget, attached, now);
    BoundedLog.append<Types.ConsumptionEntry>(
      state.consumption,
      func(id) = { id; at = now; owner; canister_id = null; attached; refunded = 0 },
    );
  };

  /// What `create_canister` gave back is not consumed; `canister` is null when none was created.
  public func settle(state : State, id : Nat64, canister : ?Principal, refunded : Nat) {
    state.totalConsumed := saturatingSub(state.totalConsumed, refunded);
    switch (BoundedLog.get(state.consumption, id)) {
      case (?entry) {
        Budget.refund(state.budget, refunded, entry.at);
        BoundedLog.replace(state.consumption, id, { entry with canister_id = canister; refunded });
      };
      case null {};
    };
  };

  /// Cycles that a canister gave back aren't consumed, up to what it has had of the reserve, as far as the log goes back;
  /// returns how many are booked so.
  public func takeBack(state : State, canister : Principal, returned : Nat) : Nat {
    var left = returned;
    label entries for (entry in BoundedLog.newestFirst(state.consumption)) {
      if (left == 0) break entries;
      if (entry.canister_id == ?canister) {
        let part = Nat.min(left, saturatingSub(entry.attached, entry.refunded));
        BoundedLog.replace(state.consumption, entry.id, { entry with refunded = entry.refunded + part });
        left -= part;
      };
    };
    let booked = returned - left : Nat;
    state.totalConsumed := saturatingSub(state.totalConsumed, booked);
    booked;
  };

  /// Adds to a debit what its canister gets later on; written before the cycles leave.
  public func debitMore(state : State, id : Nat64, amount : Nat, now : Nat64) {
    state.totalConsumed += amount;
    Budget.spend(state.budget, amount, now);
    changeEntry(state, id, func entry = { entry with attached = entry.attached + amount });
  };

  /// Undoes the `debitMore` of the time `at`: all of it came back.
  public func undoMore(state : State, id : Nat64, amount : Nat, at : Nat64) {
    state.totalConsumed := saturatingSub(state.totalConsumed, amount);
    Budget.refund(state.budget, amount, at);
    changeEntry(state, id, func entry = { entry with attached = saturatingSub(entry.attached, amount) });
  };

  func changeEntry(state : State, id : Nat64, change : Types.ConsumptionEntry -> Types.ConsumptionEntry) {
    switch (BoundedLog.get(state.consumption, id)) {
      case (?entry) BoundedLog.replace(state.consumption, id, change entry);
      case null {};
    };
  };

  /// Warning below the threshold, critical at half of it.
  public func alertLevel(state : State, funds : Funds) : Types.AlertLevel {
    let there = available(state, funds);
    if (there >= state.settings.threshold) #Normal
    else if (2 * there <= state.settings.threshold) #Critical
    else #Warning;
  };

  /// Balance and what creations took, together: see `Deposits`.
  public func level(state : State, balance : Nat) : Nat = balance + state.totalConsumed;

  /// Counts what was deposited since the last look. Not between `debit` and the call that takes the cycles, nor between
  /// a refund and `settle`, when books and balance don't agree.
  public func countDeposits(state : State, deposits : Deposits.State, balance : Nat, underWay : Nat) {
    state.totalToppedUp += Deposits.look(deposits, level(state, balance), underWay);
  };

  /// Cycles that came with a call.
  public func accepted(state : State, deposits : Deposits.State, amount : Nat) {
    state.totalToppedUp += amount;
    Deposits.told(deposits, amount);
  };

  /// All figures at once, deposits since the last look included.
  public func status(state : State, deposits : Deposits.State, funds : Funds, now : Nat64) : Types.ReserveStatus {
    let alert = alertLevel(state, funds);
    {
      balance = funds.balance;
      available = available(state, funds);
      frozen = funds.frozen;
      in_flight = state.inFlight;
      settings = state.settings;
      total_consumed = state.totalConsumed;
      spent_in_day = Budget.spent(state.budget, now);
      total_topped_up = state.totalToppedUp + Deposits.since(deposits, level(state, funds.balance));
      alert_level = alert;
      recommended_top_up = switch alert {
        case (#Normal) 0;
        case _ Int.toNat(Int.max(0, 2 * state.settings.threshold - headroom(state, funds)));
      };
    };
  };

  /// Consumption of the last `windowNs` nanoseconds, as far back as the log goes.
  public func report(
    state : State,
    deposits : Deposits.State,
    funds : Funds,
    windowNs : Nat64,
    now : Nat64,
  ) : Types.ConsumptionReport {
    let since = if (now > windowNs) now - windowNs else 0 : Nat64;
    var consumed = 0;
    var creations : Nat64 = 0;
    label entries for (entry in BoundedLog.newestFirst(state.consumption)) {
      if (entry.at < since) break entries;
      consumed += saturatingSub(entry.attached, entry.refunded);
      if (entry.canister_id != null) creations += 1;
    };
    let reserve = status(state, deposits, funds, now);
    {
      reserve;
      window_ns = windowNs;
      consumed_in_window = consumed;
      creations_in_window = creations;
      recommendation = recommendation(reserve, consumed);
    };
  };

  /// One sentence for admins.
  public func recommendation(reserve : Types.ReserveStatus, consumedInWindow : Nat) : Text {
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

  func headroom(state : State, funds : Funds) : Int {
    funds.balance : Int - minimum(state, funds) - state.inFlight;
  };

  func saturatingSub(a : Nat, b : Nat) : Nat = if (a > b) a - b else 0;
};
