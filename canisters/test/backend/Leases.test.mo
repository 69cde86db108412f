import Array "mo:core/Array";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import { type Test; same; test } "../Test";
import Types "../../backend/Types";
import Leases "../../backend/Leases";

module {
  func operator() : Principal = Principal.fromBlob("operator");
  func other() : Principal = Principal.fromBlob("other operator");
  func request() : Types.ClaimRequest = { owner = Principal.fromBlob("owner"); worker = "worker-1"; duration_ns = null };

  func claimed(
    current : ?Leases.Lease,
    holder : Principal,
    asked : Types.ClaimRequest,
    now : Nat64,
  ) : Types.Result<Leases.Lease> = Leases.claim({ var next = 7 }, current, holder, asked, now);

  /// A lease of the operator from 1,000 on, for 100 ns.
  func lease() : Leases.Lease = switch (claimed(null, operator(), { request() with duration_ns = ?100 }, 1_000)) {
    case (#Ok made) made;
    case (#Err _) loop { assert false };
  };

  func kind<T>(result : Types.Result<T>) : Text = switch result {
    case (#Ok _) "Ok";
    case (#Err error) debug_show (error.kind, error.retry_helps);
  };

  public func tests() : [Test] = [
    test("a lease lives up to the nanosecond before its end", func() {
      assert Leases.isLive(lease(), 1_099) and not Leases.isLive(lease(), 1_100);
      let null = Leases.live(?lease(), 1_100) else return assert false;
    }),
    test("without a duration a lease is for a minute", func() {
      let #Ok made = claimed(null, operator(), request(), 1_000) else return assert false;
      assert made.expiresAt == 60_000_001_000 and not made.locksWrites;
    }),
    test("a lease is for 1 ns to 10 minutes", func() {
      func asked(durationNs : Nat64) : Text = kind(claimed(null, operator(), { request() with duration_ns = ?durationNs }, 0));
      same(asked(0), "(#InvalidRequest, false)");
      same(asked(1), "Ok");
      same(asked(600_000_000_000), "Ok");
      same(asked(600_000_000_001), "(#InvalidRequest, false)");
    }),
    test("a worker's name has 1 to 100 characters", func() {
      func named(chars : Nat) : Text {
        let worker = Text.fromIter(Array.repeat('ß', chars).values());
        kind(claimed(null, operator(), { request() with worker }, 0));
      };
      same(named(0), "(#InvalidRequest, false)");
      same(named(1), "Ok");
      same(named(100), "Ok");
      same(named(101), "(#InvalidRequest, false)");
    }),
    test("every claim has a number of its own, a refused one has none", func() {
      let counter : Leases.Counter = { var next = 1 };
      ignore Leases.claim(counter, null, operator(), request(), 0);
      ignore Leases.claim(counter, null, operator(), { request() with worker = "" }, 0);
      assert counter.next == 2;
    }),
    test("the same worker claims again at any time, with another number", func() {
      let #Ok again = claimed(?lease(), operator(), request(), 1_050) else return assert false;
      assert again.number == 7 and again.expiresAt == 60_000_001_050;
    }),
    test("another worker or operator waits until the lease has expired", func() {
      let another = { request() with worker = "worker-2" };
      same(kind(claimed(?lease(), operator(), another, 1_099)), "(#Busy, true)");
      same(kind(claimed(?lease(), other(), request(), 1_099)), "(#Busy, true)");
      same(kind(claimed(?lease(), other(), another, 1_100)), "Ok");
    }),
    test("a step needs the live lease, its number and its holder", func() {
      same(kind(Leases.require(?lease(), operator(), 7, 1_099)), "Ok");
      same(kind(Leases.require(?lease(), operator(), 7, 1_100)), "(#Busy, true)");
      same(kind(Leases.require(?lease(), operator(), 6, 1_050)), "(#Busy, true)");
      same(kind(Leases.require(?lease(), other(), 7, 1_050)), "(#Busy, true)");
      same(kind(Leases.require(null, operator(), 7, 1_050)), "(#Busy, true)");
    }),
    test("a renewed lease runs for its duration from now on", func() {
      let held = lease();
      assert Leases.renew(held, 1_090) == 1_190;
      assert Leases.isLive(held, 1_189) and not Leases.isLive(held, 1_190);
    }),
  ];
};
