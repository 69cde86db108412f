import { type Test; test } "../Test";
import Funding "../../backend/Funding";
import Hosting "../../backend/Hosting";
import Reserve "../../backend/Reserve";

module {
  let gib = 1_073_741_824;

  func allowed(freezing_threshold : Nat, wasm_memory_limit : Nat) : Bool {
    Hosting.check({ freezing_threshold; wasm_memory_limit }, Reserve.defaultSettings) == null;
  };

  public func tests() : [Test] = [
    test("a memory limit is between 100 MiB and 4 GiB", func() {
      assert allowed(0, 104_857_600) and not allowed(0, 104_857_599);
      assert allowed(0, 4 * gib) and not allowed(0, 4 * gib + 1);
    }),
    test("a threshold is refused that is, with the funded days, more than a hundred years", func() {
      let most = (36_525 - Funding.defaultFundedDays) * Funding.daySeconds : Nat;
      assert allowed(most, gib) and not allowed(most + 1, gib);
    }),
  ];
};
