import { type Test; test } "../Test";
import Funding "../../backend/Funding";
import Hosting "../../backend/Hosting";
import Reserve "../../backend/Reserve";
import Types "../../backend/Types";

module {
  let gib = 1_073_741_824;
  let day = 86_400;
  let prices = Funding.defaultPrices;
  let reserve = Reserve.defaultSettings;
  let canisters = Hosting.defaultSettings;

  func isRefused(changed : Types.PriceTable) : Bool = Funding.check({ reserve with prices = changed }) != null;

  public func tests() : [Test] = [
    test("a canister burns for being there, and for what it has", func() {
      assert Funding.idle(prices, gib, 0) == 0;
      assert Funding.idle(prices, 0, 365 * day) == 315_360_000_000;
      assert Funding.idle(prices, 3 * gib, 365 * day) == 315_360_000_000 + 3 * 10_012_680_000_000;
    }),
    test("the first part is a canister that is created, installed, filled and not frozen", func() {
      let { first } = Funding.parts(reserve, canisters, 1_000_000);
      let frozen = Funding.idle(prices, 1_100_000 + Funding.emptyCanisterBytes, canisters.freezing_threshold);
      assert first == prices.creation + prices.installation + 1_000_000 * prices.import_byte + frozen;
    }),
    test("the second part is the days that it is funded for", func() {
      let one = Funding.parts({ reserve with funded_days = 400 }, canisters, gib);
      let two = Funding.parts({ reserve with funded_days = 800 }, canisters, gib);
      assert one.first == two.first;
      let burned = Funding.idle(prices, Funding.canisterBytes(gib), day);
      assert two.rest == one.rest + 400 * burned;
    }),
    test("without days to pay for nothing is left for the second part", func() {
      assert Funding.parts({ reserve with funded_days = 0 }, { canisters with freezing_threshold = 0 }, 0).rest == 0;
    }),
    test("what is paid for a day lasts for a day", func() {
      let life = Funding.life({ reserve with funded_days = 3 }, canisters, 1_000_000_000);
      assert Funding.paidUntil(life, 1_000_000_000, canisters.freezing_threshold, 5) == ?(3 * 86_400_000_000_000 + 5);
      assert Funding.paidUntil(life - 1 : Nat, 1_000_000_000, canisters.freezing_threshold, 5) != ?(3 * 86_400_000_000_000 + 5);
      assert Funding.paidUntil(0, 1, 0, 5) == ?5 and Funding.paidUntil(life, 0, 0, 5) == null;
      assert Funding.paidUntil(10 ** 40, 1, 0, 5) == ?9_223_372_036_854_775_807;
    }),
    test("what burns between two times is counted forwards only", func() {
      let later : Nat64 = 2 * 86_400_000_000_000 + 5;
      assert Funding.burned(1_000, 5, later) == 2_000;
      assert Funding.burned(1_000, later, 5) == 0;
    }),
    test("prices are for a network with a name, and for nothing free but being there", func() {
      assert not isRefused({ prices with network = "ic"; idle_second = 0 });
      for (network in ["", "IC", "a b", "0123456789012345678901234567890123456789012345678901234567890123456789"].values()) {
        assert isRefused({ prices with network });
      };
      assert isRefused({ prices with creation = 0 }) and isRefused({ prices with installation = 0 });
      assert isRefused({ prices with import_byte = 0 }) and isRefused({ prices with gib_second = 0 });
    }),
    test("prices of one network don't take the place of another's", func() {
      func fits(before : Text, after : Text) : Bool {
        Funding.checkNetwork({ prices with network = before }, { prices with network = after }) == null;
      };
      assert fits("any", "ic") and fits("ic", "ic") and fits("ic", "any") and not fits("ic", "embedded");
    }),
  ];
};
