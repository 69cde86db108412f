import Nat64 "mo:core/Nat64";
import { type Test; same; test } "../Test";
import BoundedLog "../../backend/BoundedLog";

module {
  /// A log whose entries are their own numbers.
  func filled(count : Nat) : BoundedLog.Log<Nat64> {
    let log = BoundedLog.empty<Nat64>();
    for (_ in Nat64.range(0, Nat64.fromNat count)) ignore BoundedLog.append<Nat64>(log, func id = id);
    log;
  };

  func isAt(log : BoundedLog.Log<Nat64>, id : Nat64, entry : ?Nat64) : Bool = BoundedLog.get(log, id) == entry;

  func page(log : BoundedLog.Log<Nat64>, after : ?Nat64, limit : ?Nat32) : Text {
    debug_show BoundedLog.page(log, { after; limit });
  };

  public func tests() : [Test] = [
    test("numbers begin at 1 and the answer is the entry's number", func() {
      let log = BoundedLog.empty<Text>();
      let numbers = [BoundedLog.append<Text>(log, func _ = "first"), BoundedLog.append<Text>(log, func _ = "second")];
      same(debug_show numbers, "[1, 2]");
      assert BoundedLog.get<Text>(log, 2) == ?"second" and BoundedLog.get<Text>(log, 3) == null;
    }),
    test("10,000 entries are kept; one more, and the oldest is forgotten", func() {
      let log = filled 10_000;
      assert isAt(log, 1, ?1);
      ignore BoundedLog.append<Nat64>(log, func id = id);
      assert isAt(log, 1, null) and isAt(log, 2, ?2);
      assert isAt(log, 10_001, ?10_001);
    }),
    test("a number is never used twice, even if its entry is forgotten", func() {
      assert BoundedLog.append<Nat64>(filled 10_001, func id = id) == 10_002;
    }),
    test("an entry can be replaced until it is forgotten", func() {
      let log = filled 10_001;
      BoundedLog.replace<Nat64>(log, 2, 22);
      BoundedLog.replace<Nat64>(log, 1, 11);
      assert isAt(log, 2, ?22) and isAt(log, 1, null);
    }),
    test("pages begin with the newest entry and go on where the last one ended", func() {
      let log = filled 5;
      same(page(log, null, ?2), "{items = [5, 4]; next = ?4}");
      same(page(log, ?4, ?2), "{items = [3, 2]; next = ?2}");
      same(page(log, ?2, ?2), "{items = [1]; next = null}");
    }),
    test("a page that ends with the oldest entry is the last", func() {
      same(page(filled 4, ?3, ?2), "{items = [2, 1]; next = null}");
      same(page(filled 4, ?1, ?2), "{items = []; next = null}");
      same(page(filled 4, ?0, ?2), "{items = []; next = null}");
      same(page(filled 0, null, null), "{items = []; next = null}");
    }),
  ];
};
