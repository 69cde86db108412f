import Map "mo:core/Map";
import Principal "mo:core/Principal";
import { type Test; test } "../Test";
import Expiry "../../backend/Expiry";

module {
  let day : Nat64 = 86_400_000_000_000;
  let until : Nat64 = 86_400_000_000_000_000;
  func canister() : Principal = Principal.fromBlob("canister");
  func other() : Principal = Principal.fromBlob("other");

  /// The mark that is due so many days (and, with `later`, nanoseconds more) before the date.
  func dueAt(state : Expiry.State, days : Nat64, later : Nat64) : ?Nat {
    switch (Expiry.due(state, canister(), ?until, until - days * day + later)) {
      case (?warned) ?warned.days;
      case null null;
    };
  };

  public func tests() : [Test] = [
    test("a mark comes at its very moment and not a nanosecond before", func() {
      assert Expiry.mark(?until, until - 90 * day - 1) == null;
      assert Expiry.mark(?until, until - 90 * day) == ?90;
      assert Expiry.mark(?until, until - 30 * day - 1) == ?90;
      assert Expiry.mark(?until, until - 30 * day) == ?30;
      assert Expiry.mark(?until, until - 7 * day) == ?7;
      assert Expiry.mark(?until, until + 1_000 * day) == ?7;
    }),
    test("without a date there is no mark", func() { assert Expiry.mark(null, until) == null }),
    test("each mark is due once", func() {
      let state = Expiry.start();
      assert [dueAt(state, 91, 0), dueAt(state, 90, 0), dueAt(state, 90, 1), dueAt(state, 31, 0)] == [null, ?90, null, null];
      assert [dueAt(state, 30, 0), dueAt(state, 29, 0), dueAt(state, 7, 0), dueAt(state, 6, 0), dueAt(state, 0, 0)] == [?30, null, ?7, null, null];
    }),
    test("who looks late warns of the last mark alone", func() {
      let state = Expiry.start();
      assert [dueAt(state, 5, 0), dueAt(state, 4, 0)] == [?7, null];
    }),
    test("another date begins anew, one that is far off as well", func() {
      let state = Expiry.start();
      assert dueAt(state, 5, 0) == ?7;
      let now = until - 5 * day;
      assert Expiry.due(state, canister(), ?(now + 20 * day), now) == ?{ until = now + 20 * day; days = 30 };
      assert Expiry.due(state, canister(), ?(now + 200 * day), now) == null;
      assert state.isEmpty();
      assert dueAt(state, 5, 0) == ?7;
    }),
    test("each canister has its turn once in so many days", func() {
      for (turns in [1, 3].values()) {
        for (who in [canister(), other()].values()) {
          var asked = 0;
          for (days in ([8, 7, 6, 5, 4, 3] : [Nat64]).values()) if (Expiry.isTurn(who, until - days * day, turns)) asked += 1;
          assert asked * turns == 6;
        };
      };
    }),
    test("a date is another one from a day later on", func() {
      assert Expiry.laterThan(?until) == until + day;
      assert Expiry.laterThan(null) == 0;
    }),
    test("canisters are warned of each for itself", func() {
      let state = Expiry.start();
      assert dueAt(state, 5, 0) == ?7;
      assert Expiry.due(state, other(), ?until, until - 5 * day) == ?{ until; days = 7 };
    }),
  ];
};
