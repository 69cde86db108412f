import Array "mo:core/Array";
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Nat32 "mo:core/Nat32";
import Set "mo:core/Set";
import Text "mo:core/Text";
import { type Test; same; test } "../Test";
import Pages "../../capsule/Pages";

module {
  func keys(entries : Iter.Iter<(Text, Nat)>) : Text = Text.join(entries.map(func((key, _)) = key), " ");

  func stored() : Map.Map<Text, Nat> = Map.fromIter([("a", 1), ("ab", 2), ("b", 3), ("c", 4)].values(), Text.compare);

  public func tests() : [Test] = [
    test("a page has 100 items unless the caller says otherwise", func() { assert Pages.size(null) == 100 }),
    test("a page has at least 1 item and at most 1,000", func() {
      same(debug_show (([?0, ?1, ?1_000, ?1_001, ?Nat32.maxValue] : [?Nat32]).map(Pages.size)), "[1, 1, 1_000, 1_000, 1_000]");
    }),
    test("without a cursor all entries come", func() { same(keys(Pages.entriesFrom(stored(), null)), "a ab b c") }),
    test("the cursor's own entry doesn't come again, one that it is the beginning of does", func() {
      same(keys(Pages.entriesFrom(stored(), ?"a")), "ab b c");
      same(keys(Pages.entriesAfter(stored(), "ab")), "b c");
    }),
    test("a set is paged through like a map", func() {
      let set = Set.fromIter<Text>(["a", "ab", "b"].values(), Text.compare);
      same(Text.join(Pages.valuesFrom(set, null), " "), "a ab b");
      same(Text.join(Pages.valuesFrom(set, ?"a"), " "), "ab b");
      same(Text.join(Pages.valuesFrom(set, ?"b"), " "), "");
    }),
    test("the least text after the cursor is on the next page", func() {
      let map = stored();
      map.add("a\u{0}", 5);
      assert Pages.entriesAfter(map, "a").next() == ?("a\u{0}", 5);
    }),
    test("a cursor that was deleted goes on behind its place", func() {
      same(keys(Pages.entriesAfter(stored(), "aa")), "ab b c");
    }),
    test("after the last entry nothing comes", func() { same(keys(Pages.entriesAfter(stored(), "c")), "") }),
  ];
};
