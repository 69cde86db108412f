/// Which warning is due for a canister whose cycles end at a known date. Owns the marks, and what was warned of: each mark
/// once for a date, so that another date, after a top-up, begins anew. Does not own: dates, and who is told (`ExpiryWatch`).
import Map "mo:core/Map";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";

module {
  /// Days before the date, the last warning first.
  public let marks : [Nat] = [7, 30, 90];

  let dayNs : Nat64 = 86_400_000_000_000;

  /// The date (nanoseconds since 1970) and the mark that its canister was last warned of.
  public type Warned = { until : Nat64; days : Nat };
  public type State = Map.Map<Principal, Warned>;

  /// Nothing was warned of.
  public func start() : State = Map.empty<Principal, Warned>();

  /// The smallest mark that has come; null when the date is further off than any, or isn't known.
  public func mark(paidUntil : ?Nat64, now : Nat64) : ?Nat {
    let ?until = paidUntil else return null;
    for (days in marks.values()) {
      if (until <= now + Nat64.fromNat(days) * dayNs) return ?days;
    };
    null;
  };

  /// Whether it's this canister's turn today to be looked at: once in so many days.
  public func isTurn(canisterId : Principal, now : Nat64, turns : Nat) : Bool {
    let today = Nat64.toNat(now / dayNs);
    Nat32.toNat(canisterId.hash()) % turns == today % turns;
  };

  /// From when on a date is another one than this, by what was paid since: what use and rounding move is less than a day.
  public func laterThan(paidUntil : ?Nat64) : Nat64 {
    switch paidUntil { case (?until) until + dayNs; case null 0 };
  };

  /// The mark that wasn't warned of yet.
  public func unwarned(state : State, canisterId : Principal, paidUntil : ?Nat64, now : Nat64) : ?Warned {
    let ?until = paidUntil else return null;
    let ?days = mark(paidUntil, now) else return null;
    switch (state.get(canisterId)) {
      case (?before) if (before.until == until and before.days <= days) null else ?{ until; days };
      case null ?{ until; days };
    };
  };

  /// The mark to warn of now, which is on record then. A canister whose date is far off is forgotten.
  public func due(state : State, canisterId : Principal, paidUntil : ?Nat64, now : Nat64) : ?Warned {
    if (mark(paidUntil, now) == null) { state.remove(canisterId); return null };
    let warned = unwarned(state, canisterId, paidUntil, now);
    switch warned { case (?some) state.add(canisterId, some); case null {} };
    warned;
  };
};
