import Nat64 "mo:core/Nat64";
import { type Test; same; test } "../Test";
import Dates "../../capsule/Dates";

module {
  func textOf(seconds : Nat64) : Text = Dates.isoText(seconds * 1_000_000_000);

  public func tests() : [Test] = [
    test("time begins in 1970", func() { same(textOf(0), "1970-01-01T00:00:00Z") }),
    test("numbers of one digit get a zero in front", func() { same(textOf(1_706_691_909), "2024-01-31T09:05:09Z") }),
    test("parts of a second are cut off", func() {
      same(Dates.isoText(999_999_999), "1970-01-01T00:00:00Z");
      same(Dates.isoText(1_000_000_000), "1970-01-01T00:00:01Z");
    }),
    test("a year ends with its last second", func() {
      same(textOf(1_735_689_599), "2024-12-31T23:59:59Z");
      same(textOf(1_735_689_600), "2025-01-01T00:00:00Z");
    }),
    test("2000 has a 29th of February", func() { same(textOf(951_782_400), "2000-02-29T00:00:00Z") }),
    test("2100 has none", func() {
      same(textOf(4_107_542_399), "2100-02-28T23:59:59Z");
      same(textOf(4_107_542_400), "2100-03-01T00:00:00Z");
    }),
    test("the last time that 64 bits hold is in 2554", func() {
      same(Dates.isoText(Nat64.maxValue), "2554-07-21T23:34:33Z");
    }),
  ];
};
