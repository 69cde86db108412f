/// A numbered log that keeps its newest 10,000 entries. Owns numbering, forgetting and paging; not what an entry means.
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Pages "../capsule/Pages";
import Types "Types";

module {
  /// Entries kept; an older one is forgotten when a new one arrives.
  public let capacity = 10_000;

  public type Log<E> = { entries : Map.Map<Nat64, E>; var nextId : Nat64 };

  /// A log without entries.
  public func empty<E>() : Log<E> = { entries = Map.empty<Nat64, E>(); var nextId = 1 };

  /// The entry is made from its own number; numbers start at 1 and are never used twice.
  public func append<E>(log : Log<E>, entryOf : Nat64 -> E) : Nat64 {
    let id = log.nextId;
    log.nextId += 1;
    log.entries.add(id, entryOf(id));
    if (log.entries.size() > capacity) {
      switch (log.entries.minEntry()) {
        case (?(oldest, _)) log.entries.remove(oldest);
        case null {};
      };
    };
    id;
  };

  /// The entry of that number; null when it is forgotten, or there is none yet.
  public func get<E>(log : Log<E>, id : Nat64) : ?E = log.entries.get(id);

  /// Does nothing when the entry is forgotten already.
  public func replace<E>(log : Log<E>, id : Nat64, entry : E) {
    ignore log.entries.replace(id, entry);
  };

  /// All entries that are kept.
  public func newestFirst<E>(log : Log<E>) : Iter.Iter<E> {
    log.entries.reverseEntries().map(func((_, entry)) = entry);
  };

  /// Newest first. `after` is the last number of the page before; `next` is the one to pass on, or null at the end.
  public func page<E>(log : Log<E>, request : Types.NumberedPageRequest) : { items : [E]; next : ?Nat64 } {
    let limit = Pages.size(request.limit);
    let entries = switch (request.after) {
      case null log.entries.reverseEntries();
      case (?id) {
        if (id <= 1) return { items = []; next = null };
        log.entries.reverseEntriesFrom(id - 1);
      };
    };
    let items = List.empty<E>();
    var last : ?Nat64 = null;
    for ((id, entry) in entries) {
      if (items.size() == limit) return { items = items.toArray(); next = last };
      items.add(entry);
      last := ?id;
    };
    { items = items.toArray(); next = null };
  };
};
