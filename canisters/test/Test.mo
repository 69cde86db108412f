/// What a test of a Motoko module is, and how it compares. A test that fails traps; the message says what was found.
import Runtime "mo:core/Runtime";

module {
  public type Test = { name : Text; run : () -> () };

  public func test(name : Text, run : () -> ()) : Test = { name; run };

  /// Traps unless the two texts are equal; other values come by `debug_show`.
  public func same(actual : Text, expected : Text) {
    if (actual != expected) Runtime.trap(actual # " instead of " # expected);
  };
};
