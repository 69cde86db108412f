import Array "mo:core/Array";
import Nat32 "mo:core/Nat32";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import { type Test; test } "../Test";
import CreationPolicy "../../backend/CreationPolicy";

module {
  func named(name : Text) : Bool = CreationPolicy.check({ name = ?name; subnet_id = null; show_status = null }) == null;

  func chars(count : Nat) : Text = Text.fromIter(Array.repeat('ß', count).values());

  func onSubnet(id : Blob) : Bool {
    CreationPolicy.check({ name = null; subnet_id = ?Principal.fromBlob(id); show_status = null }) == null;
  };

  func allowed(max_in_progress : Nat32, max_per_hour : Nat32) : Bool {
    CreationPolicy.checkLimits({ max_in_progress; max_per_hour }) == null;
  };

  public func tests() : [Test] = [
    test("a request needs neither name nor subnet", func() {
      assert CreationPolicy.check({ name = null; subnet_id = null; show_status = null }) == null;
    }),
    test("a name has 1 to 100 characters", func() {
      assert not named("") and named("a") and named(chars 100) and not named(chars 101);
    }),
    test("a name has letters, digits, spaces, hyphens and underscores", func() {
      assert named("Großmutter 1958_a-b") and named("家族");
      for (text in ["a.b", "a/b", "a\nb", "a\u{0}b", "<b>", "a\u{202e}b"].values()) { assert not named(text) };
    }),
    test("a name isn't made of spaces alone", func() { assert not named("   ") and named(" a ") }),
    test("neither the anonymous principal nor the management canister is a subnet", func() {
      assert onSubnet("\01\02") and not onSubnet("\04") and not onSubnet("");
    }),
    test("a limit is at least 1", func() {
      assert allowed(1, 1) and not allowed(0, 1) and not allowed(1, 0);
    }),
    test("an hour has at most as many attempts as the backend remembers", func() {
      assert allowed(Nat32.maxValue, 10_000) and not allowed(1, 10_001);
    }),
    test("a new backend has the limits that were asked for, or else its own", func() {
      let asked = { max_in_progress = 3 : Nat32; max_per_hour = 4 : Nat32 };
      assert CreationPolicy.startLimits(?asked) == asked;
      assert CreationPolicy.startLimits(null) == { max_in_progress = 100 : Nat32; max_per_hour = 1_000 : Nat32 };
    }),
  ];
};
