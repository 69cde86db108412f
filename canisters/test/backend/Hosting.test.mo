import { type Test; same; test } "../Test";
import Hosting "../../backend/Hosting";

module {
  let gib = 1_073_741_824;
  let day = 86_400;
  let settings = Hosting.defaultSettings;

  func allowed(freezing_threshold : Nat, wasm_memory_limit : Nat, base : Nat) : Bool {
    Hosting.check({ freezing_threshold; wasm_memory_limit }, base) == null;
  };

  public func tests() : [Test] = [
    test("a canister is frozen under what it burns idle in the freezing threshold", func() {
      let year = { settings with freezing_threshold = 365 * day };
      assert Hosting.frozenCycles({ settings with freezing_threshold = 0 }, gib) == 0;
      assert Hosting.frozenCycles(year, 0) == 315_360_000_000;
      assert Hosting.frozenCycles(year, 3 * gib) == 315_360_000_000 + 3 * 10_012_680_000_000;
    }),
    test("an empty canister needs its creation, its installation and the freezing threshold", func() {
      let none = { settings with freezing_threshold = 0 };
      same(debug_show(Hosting.leastBase(none)), "800_000_000_000");
      let empty = Hosting.frozenCycles(settings, Hosting.emptyCanisterBytes);
      assert Hosting.leastBase(settings) == Hosting.leastBase(none) + empty;
    }),
    test("a threshold that the base doesn't cover is refused", func() {
      let base = Hosting.leastBase(settings);
      assert allowed(settings.freezing_threshold, gib, base) and not allowed(settings.freezing_threshold, gib, base - 1);
    }),
    test("a memory limit is between 100 MiB and 4 GiB", func() {
      let base = 1_000_000_000_000;
      assert allowed(0, 104_857_600, base) and not allowed(0, 104_857_599, base);
      assert allowed(0, 4 * gib, base) and not allowed(0, 4 * gib + 1, base);
    }),
    test("a threshold that the network doesn't take is refused", func() {
      assert not allowed(18_446_744_073_709_551_616, gib, 10 ** 60);
    }),
  ];
};
