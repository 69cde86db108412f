import Principal "mo:core/Principal";
import { type Test; same; test } "../Test";
import Ids "../../capsule/Ids";
import Store "../../capsule/Store";

module {
  func self() : Principal = Principal.fromBlob("\01\02"); // SHA-256 a12871fe...

  public func tests() : [Test] = [
    test("an id is kind, the tag of the canister and a counter of ten digits", func() {
      same(Ids.next(Store.empty(), self(), "mem"), "mem-a12871fe-0000000001");
    }),
    test("each id has the next number, whatever its kind", func() {
      let store = Store.empty();
      ignore Ids.next(store, self(), "cap");
      same(Ids.next(store, self(), "gal"), "gal-a12871fe-0000000002");
    }),
    test("another canister has another tag", func() {
      same(Ids.next(Store.empty(), Principal.anonymous(), "mem"), "mem-e52d9c50-0000000001");
    }),
    test("a counter of more than ten digits is not cut", func() {
      let store = Store.empty();
      store.next_id := 9_999_999_999;
      same(Ids.next(store, self(), "mem"), "mem-a12871fe-9999999999");
      same(Ids.next(store, self(), "mem"), "mem-a12871fe-10000000000");
    }),
    test("the tag is made once and then kept", func() {
      let store = Store.empty();
      ignore Ids.next(store, self(), "mem");
      same(Ids.next(store, Principal.anonymous(), "mem"), "mem-a12871fe-0000000002");
    }),
  ];
};
