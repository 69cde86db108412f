import Principal "mo:core/Principal";
import { type Test; same; test } "../Test";
import Deposits "../../backend/Deposits";
import Funding "../../backend/Funding";
import Hosting "../../backend/Hosting";
import Reserve "../../backend/Reserve";
import Types "../../backend/Types";

module {
  let trillion = 1_000_000_000_000;
  func owner() : Principal = Principal.fromBlob("owner");
  let settings = {
    threshold = 4_000_000_000_000;
    operating_minimum = 2_000_000_000_000;
    funded_days = 100;
    prices = Funding.defaultPrices;
    cycles_per_day = 10_000_000_000_000;
  };

  func funds(balance : Nat) : Reserve.Funds = { balance; frozen = 0 };

  func reserve() : Reserve.State = Reserve.start(?settings);

  public func tests() : [Test] = [
    test("settings that can't be used are refused, and the present ones stay", func() {
      let state = reserve();
      func configure(funded_days : Nat, network : Text) : Types.CreationResult {
        let prices = { settings.prices with network };
        Reserve.configure(state, { settings with funded_days; prices }, Hosting.defaultSettings);
      };
      assert configure(36_435, "ic") == #Ok and configure(36_436, "ic") != #Ok and configure(7, "local") != #Ok;
      assert state.settings == { settings with funded_days = 36_435; prices = { settings.prices with network = "ic" } };
    }),
    test("what the canister must have to not be frozen isn't available, where it is more than the minimum", func() {
      assert Reserve.available(reserve(), { balance = 9 * trillion; frozen = 2 * trillion }) == 7 * trillion;
      assert Reserve.available(reserve(), { balance = 9 * trillion; frozen = 5 * trillion }) == 4 * trillion;
    }),
    test("the minimum is reached where nothing above it is left", func() {
      assert Reserve.atMinimum(reserve(), funds(2 * trillion)) and not Reserve.atMinimum(reserve(), funds(2 * trillion + 1));
      assert Reserve.atMinimum(reserve(), { balance = 5 * trillion; frozen = 5 * trillion });
    }),
    test("what keeps the backend running isn't available, nor is what open creations hold", func() {
      let state = reserve();
      assert Reserve.available(state, funds(5 * trillion)) == 3 * trillion;
      Reserve.hold(state, 0, trillion);
      assert Reserve.available(state, funds(5 * trillion)) == 2 * trillion;
      assert Reserve.available(state, funds(trillion)) == 0;
    }),
    test("a creation may use the last cycle that is available, and its own hold", func() {
      let state = reserve();
      assert Reserve.preflight(state, funds(3 * trillion), trillion, 0) == null;
      assert Reserve.preflight(state, funds(3 * trillion), trillion + 1, 0) != null;
      Reserve.hold(state, 0, trillion);
      assert Reserve.preflight(state, funds(3 * trillion), trillion, 0) != null;
      assert Reserve.preflight(state, funds(3 * trillion), trillion, trillion) == null;
    }),
    test("a refusal names what is there and what is needed", func() {
      let ?error = Reserve.preflight(reserve(), funds(2 * trillion + 7), trillion, 0) else return assert false;
      assert error.available == ?7 and error.needed == ?trillion and error.retry_helps;
    }),
    test("a hold takes the place of the one before, and never falls below zero", func() {
      let state = reserve();
      Reserve.hold(state, 0, 5);
      Reserve.hold(state, 5, 3);
      assert state.inFlight == 3;
      Reserve.hold(state, 9, 0);
      assert state.inFlight == 0;
    }),
    test("a refund is taken off what was consumed, in the total and in the log", func() {
      let state = reserve();
      let id = Reserve.debit(state, owner(), trillion, 1_000);
      Reserve.settle(state, id, ?owner(), 300);
      assert state.totalConsumed == 999_999_999_700;
      let report = Reserve.report(state, Deposits.start(0), funds(9 * trillion), 1_000, 1_500);
      assert report.consumed_in_window == 999_999_999_700 and report.creations_in_window == 1;
    }),
    test("a report counts what lies within its window", func() {
      let state = reserve();
      for (at in ([100, 200, 300] : [Nat64]).values()) ignore Reserve.debit(state, owner(), 1, at);
      assert Reserve.report(state, Deposits.start(0), funds(9 * trillion), 100, 300).consumed_in_window == 2;
      assert Reserve.report(state, Deposits.start(0), funds(9 * trillion), 99, 300).consumed_in_window == 1;
      assert Reserve.report(state, Deposits.start(0), funds(9 * trillion), 1_000, 300).consumed_in_window == 3;
    }),
    test("the level is normal at the threshold, and critical at half of it", func() {
      func level(available : Nat) : Text = debug_show Reserve.alertLevel(reserve(), funds(2 * trillion + available));
      same(level(4 * trillion), "#Normal");
      same(level(3_999_999_999_999), "#Warning");
      same(level(2 * trillion + 1), "#Warning");
      same(level(2 * trillion), "#Critical");
    }),
    test("the recommended top-up leads to twice the threshold", func() {
      let status = Reserve.status(reserve(), Deposits.start(0), funds(trillion), 0);
      assert status.recommended_top_up == 9 * trillion;
      assert Reserve.available(reserve(), funds(trillion + status.recommended_top_up)) == 2 * settings.threshold;
    }),
  ];
};
