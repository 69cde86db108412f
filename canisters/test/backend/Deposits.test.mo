import { type Test; test } "../Test";
import Deposits "../../backend/Deposits";

module {
  let trillion = 1_000_000_000_000;
  let heldBack = 250_000_000_000;

  /// A canister of 10 T whose first deposit was counted, so that it is known to the cycle.
  func known() : Deposits.State {
    let state = Deposits.start(0);
    ignore Deposits.look(state, 10 * trillion, 0);
    state;
  };

  public func tests() : [Test] = [
    test("what the installation holds back is no deposit when it comes back", func() {
      let state = Deposits.start(10 * trillion);
      assert Deposits.since(state, 10 * trillion + 1_700_000_000_000) == 0;
      assert Deposits.since(state, 10 * trillion + 1_700_000_000_001) == 1;
    }),
    test("a deposit is counted once", func() {
      let state = known();
      assert Deposits.look(state, 13 * trillion, 0) == 3 * trillion;
      assert Deposits.look(state, 13 * trillion, 0) == 0;
    }),
    test("to ask counts nothing", func() {
      let state = known();
      assert Deposits.since(state, 11 * trillion) == trillion;
      assert Deposits.look(state, 11 * trillion, 0) == trillion;
    }),
    test("running costs are no deposit, and those up to what is held back are taken off the next one", func() {
      let state = known();
      assert Deposits.look(state, 9_999_999_999_900, 0) == 0;
      assert Deposits.look(state, 10_999_999_999_900, 0) == 999_999_999_900;
    }),
    test("after a fall of more than is held back, only so much of a rise counts for its end", func() {
      let state = known();
      assert Deposits.look(state, 8 * trillion, 0) == 0;
      assert Deposits.since(state, 8 * trillion + heldBack) == 0;
      assert Deposits.since(state, 8 * trillion + heldBack + 1) == 1;
    }),
    test("each call under way may hold back as much again", func() {
      let state = known();
      assert Deposits.look(state, 8 * trillion, 2) == 0;
      assert Deposits.since(state, 8 * trillion + 3 * heldBack) == 0;
      assert Deposits.since(state, 8 * trillion + 3 * heldBack + 1) == 1;
    }),
    test("cycles that came with a call aren't counted again", func() {
      let state = known();
      Deposits.told(state, trillion);
      assert Deposits.since(state, 11 * trillion) == 0;
      assert Deposits.since(state, 11 * trillion + 1) == 1;
    }),
  ];
};
