/// A numbered log that keeps its newest 10,000 entries. Owns numbering, forgetting and paging; not what an entry means.

import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";

import T "BackendTypes";

module {
  /// Entries kept; an older one is forgotten when a new one arrives.
  public let CAPACITY = 10_000;
  let DEFAULT_PAGE : Nat32 = 100;
  let MAX_PAGE : Nat32 = 1_000;

  public type Log<E> = { entries : Map.Map<Nat64, E>; var nextId : Nat64 };

  public func empty<E>() : Log<E> { { entries = Map.empty<Nat64, E>(); var nextId = 1 } };

  /// The entry is made from its own number; numbers start at 1 and are never used twice.
  public func append<E>(log : Log<E>, entryOf : Nat64 -> E) : Nat64 {
    let id = log.nextId;
    log.nextId += 1;
    Map.add(log.entries, Nat64.compare, id, entryOf(id));
    if (Map.size(log.entries) > CAPACITY) {
      switch (Map.minEntry(log.entries)) {
        case (?(oldest, _)) Map.remove(log.entries, Nat64.compare, oldest);
        case null {};
      };
    };
    id;
  };

  public func get<E>(log : Log<E>, id : Nat64) : ?E { Map.get(log.entries, Nat64.compare, id) };

  /// Does nothing when the entry is forgotten already.
  public func replace<E>(log : Log<E>, id : Nat64, entry : E) {
    ignore Map.replace(log.entries, Nat64.compare, id, entry);
  };

  public func newestFirst<E>(log : Log<E>) : Iter.Iter<E> {
    Iter.map<(Nat64, E), E>(Map.reverseEntries(log.entries), func((_, entry)) = entry);
  };

  /// Newest first. `after` is the last number of the page before; `next` is the one to pass on, or null at the end.
  public func page<E>(log : Log<E>, request : T.NumberedPageRequest) : { items : [E]; next : ?Nat64 } {
    let limit = pageLimit(request.limit);
    let entries = switch (request.after) {
      case null Map.reverseEntries(log.entries);
      case (?id) {
        if (id <= 1) return { items = []; next = null };
        Map.reverseEntriesFrom(log.entries, Nat64.compare, id - 1);
      };
    };
    let items = List.empty<E>();
    var last : ?Nat64 = null;
    for ((id, entry) in entries) {
      if (List.size(items) == limit) return { items = List.toArray(items); next = last };
      List.add(items, entry);
      last := ?id;
    };
    { items = List.toArray(items); next = null };
  };

  public func pageLimit(asked : ?Nat32) : Nat {
    let limit = switch asked { case (?n) Nat32.min(n, MAX_PAGE); case null DEFAULT_PAGE };
    Nat32.toNat(Nat32.max(limit, 1));
  };
};
