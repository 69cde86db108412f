import Map "mo:core/Map";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import { type Test; test } "../Test";
import Extents "../../capsule/Extents";
import Quotas "../../capsule/Quotas";
import Types "../../capsule/Types";

module {
  let most = Quotas.backendLimits.total;
  let person : Types.Usage = {
    content_bytes = 100;
    record_bytes = 1_000;
    memories = 3;
    galleries = 2;
    capsules = 1;
    uploads = 2;
    nonces = 2;
  };

  func books(total : Types.Usage) : Quotas.Books = Quotas.empty({ person; total; heap_bytes = 50 });

  func of(books : Quotas.Books, name : Blob) : Quotas.Account = { payer = Principal.fromBlob(name); books };

  func memories(number : Int) : Quotas.Change = { Quotas.noChange with memories = number };

  func exceeded(problem : ?Types.CapsuleError) : ?(Text, Nat, Nat) = switch problem {
    case (?#LimitExceeded { what; limit; actual }) ?(what, limit, actual);
    case _ null;
  };

  public func tests() : [Test] = [
    test("a principal may use as much as the limit and no more, and is told both numbers", func() {
      let account = of(books most, "ana");
      assert Quotas.check(account, memories 3) == null;
      Quotas.charge(account, memories 2);
      assert exceeded(Quotas.check(account, memories 2)) == ?("memories of a principal", 3, 4);
      assert Quotas.check(account, memories 1) == null;
    }),
    test("what others use doesn't count for a principal, but for all", func() {
      let shared_ = books { most with memories = 4 };
      Quotas.charge(of(shared_, "ana"), memories 3);
      assert Quotas.check(of(shared_, "ben"), memories 1) == null;
      assert exceeded(Quotas.check(of(shared_, "ben"), memories 2)) == ?("memories of all", 4, 5);
    }),
    test("sessions and nonces are those of a caller", func() {
      let account = of(books most, "ana");
      Quotas.charge(account, { Quotas.noChange with uploads = 2; nonces = 2 });
      assert exceeded(Quotas.check(account, Quotas.upload)) == ?("uploads in progress of a caller", 2, 3);
      assert exceeded(Quotas.check(account, Quotas.nonce)) == ?("valid nonces of a caller", 2, 3);
    }),
    test("what only takes away is never refused, however much is used", func() {
      let account = of(books most, "ana");
      Quotas.charge(account, memories 3);
      account.books.limits := { account.books.limits with person = Quotas.nothing; total = Quotas.nothing };
      assert Quotas.check(account, memories(-1)) == null and Quotas.check(account, Quotas.noChange) == null;
      assert Quotas.check(account, memories 1) != null;
    }),
    test("a change that grows in one respect is refused, though it shrinks in another", func() {
      let account = of(books most, "ana");
      Quotas.charge(account, { memories 3 with record_bytes = 500 });
      assert Quotas.check(account, { memories 1 with record_bytes = -500 }) != null;
    }),
    test("what is given back is as if it had never been", func() {
      let account = of(books most, "ana");
      let change = Quotas.plus(Quotas.content(33, 16), Quotas.plus(Quotas.memoryRecord(7), Quotas.capsule));
      Quotas.charge(account, change);
      assert account.books.total != Quotas.nothing and account.books.people.size() == 1;
      Quotas.charge(account, Quotas.negated change);
      assert account.books.total == Quotas.nothing and account.books.people.isEmpty();
    }),
    test("a content is charged what its chunks take, and each of them for the heap", func() {
      assert Quotas.content(0, 16) == Quotas.noChange;
      assert Quotas.content(1, 16) == { Quotas.noChange with content_bytes = 16; record_bytes = 100 };
      assert Quotas.content(32, 16) == { Quotas.noChange with content_bytes = 32; record_bytes = 200 };
      assert Quotas.content(33, 16) == { Quotas.noChange with content_bytes = 48; record_bytes = 300 };
      assert Quotas.content(33, 17) == { Quotas.noChange with content_bytes = 48; record_bytes = 200 };
      assert Quotas.content(5, 1) == { Quotas.noChange with content_bytes = 5 * 16; record_bytes = 500 };
    }),
    test("chunks one by one are charged what they are charged as a content", func() {
      for ((size, chunk) in ([(1, 1), (100, 7), (160, 16), (161, 16), (4_001, 2_000)] : [(Nat, Nat)]).values()) {
        var sum = Quotas.noChange;
        var left = size;
        while (left > 0) {
          let next = if (left < chunk) left else chunk;
          sum := Quotas.plus(sum, Quotas.chunk(next));
          left -= next;
        };
        assert sum == Quotas.content(Nat64.fromNat(size), Nat32.fromNat(chunk));
      };
    }),
    test("a content is charged what the region gives it", func() {
      let space = Extents.empty();
      ignore Extents.allocate(space, 33, 1_000_000);
      assert Quotas.chunk(33).content_bytes == Nat64.toNat(space.taken);
    }),
    test("an event is charged its text", func() {
      assert Quotas.event(#Wedding).record_bytes == 100 and Quotas.event(#Custom "\u{df}\u{df}").record_bytes == 104;
    }),
    test("the heap may be as large as its limit", func() {
      assert Quotas.checkHeap(books most, 50) == null;
      assert exceeded(Quotas.checkHeap(books most, 51)) == ?("bytes of this canister's heap", 50, 51);
    }),
    test("a personal canister holds all that a principal may have in a backend", func() {
      let { person } = Quotas.backendLimits;
      let all = Quotas.personalTotal;
      assert person.content_bytes <= all.content_bytes and person.record_bytes <= all.record_bytes;
      assert person.memories <= all.memories and person.galleries <= all.galleries;
    }),
  ];
};
