import Text "mo:core/Text";
import { type Test; same; test } "../Test";
import Ids "../../capsule/Ids";
import Quotas "../../capsule/Quotas";
import Store "../../capsule/Store";

module {
  let now : Nat64 = 0x0123_4567_89ab_cdef;

  func ready(secret : Blob) : Store.Store {
    let store = Store.empty(Quotas.backendLimits);
    Ids.keepSecret(store, secret);
    store;
  };

  public func tests() : [Test] = [
    test("an id is kind, time and half of the SHA-256 of secret and time", func() {
      same(Ids.next(ready "secret", "mem", now), "mem-0123456789abcdef-f153ef81cbc7ffbf834e5616495d7102");
    }),
    test("another secret makes another id of the same time", func() {
      assert Ids.next(ready "secret", "mem", now) != Ids.next(ready "another", "mem", now);
    }),
    test("ids of one time are in the order of their making, and so are those of a clock that went back", func() {
      let store = ready "secret";
      let first = Ids.next(store, "mem", now);
      let second = Ids.next(store, "mem", now);
      let third = Ids.next(store, "mem", now - 5);
      assert first < second and second < third;
      assert second.startsWith(#text "mem-0123456789abcdf0-") and third.startsWith(#text "mem-0123456789abcdf1-");
    }),
    test("a stamp is never given twice, whether for an id or an upload", func() {
      let store = ready "secret";
      ignore Ids.next(store, "mem", now);
      assert Ids.stamp(store, now) == now + 1 and Ids.stamp(store, now) == now + 2;
      assert Ids.next(store, "mem", now).startsWith(#text "mem-0123456789abcdf2-");
    }),
    test("a store has no secret until one is kept, and keeps the first", func() {
      let store = Store.empty(Quotas.backendLimits);
      assert not Ids.isReady(store);
      Ids.keepSecret(store, "first");
      Ids.keepSecret(store, "second");
      assert Ids.isReady(store) and store.id_secret == ?("first" : Blob);
    }),
  ];
};
