/// Galleries, connections and connection groups are each read all at once, so that a capsule may hold only as many bytes
/// of them as fit a reply. Owns that count, and what the items are charged; what they mean is their own modules' business.
import Int "mo:core/Int";
import Map "mo:core/Map";
import Text "mo:core/Text";
import Limits "Limits";
import Quotas "Quotas";
import Seal "Seal";
import Store "Store";
import Types "Types";
import Validate "Validate";

module {
  type Items<T> = Map.Map<Text, Store.Sealed<T>>;

  func bytesOf<T>(item : ?Store.Sealed<T>) : Nat = switch item {
    case (?{ seal }) seal.record_bytes;
    case null 0;
  };

  func chargeOf<T>(item : ?Store.Sealed<T>) : Quotas.Change = switch item {
    case (?{ seal }) Quotas.otherRecord(seal.record_bytes);
    case null Quotas.noChange;
  };

  /// What the item in its place adds to what is charged.
  public func charge<T>(items : Items<T>, id : Text, item : Store.Sealed<T>) : Quotas.Change {
    Quotas.between(chargeOf(items.get(id)), chargeOf(?item));
  };

  /// By how many bytes the roster would grow (or shrink) with the item in its place.
  public func growth<T>(
    items : Items<T>,
    id : Text,
    item : Store.Sealed<T>,
  ) : Int = item.seal.record_bytes - bytesOf(items.get(id));

  /// Is the item alone too large?
  public func checkItem<T>(item : Store.Sealed<T>) : Validate.Problem {
    Validate.most("bytes of one gallery, connection or group", Limits.recordBytes, item.seal.record_bytes);
  };

  /// Would the roster be too large if it grew by so many bytes?
  public func checkTotal(capsule : Store.Capsule, grown : Int) : Validate.Problem {
    if (grown <= 0) return null;
    Validate.most(
      "bytes of a capsule's galleries, connections and groups",
      Limits.rosterBytes,
      capsule.roster_bytes + Int.abs(grown),
    );
  };

  /// Is the item, or are all of them together with it, too large, or is there no room for it?
  public func check<T>(
    capsule : Store.Capsule,
    items : Items<T>,
    id : Text,
    item : Store.Sealed<T>,
  ) : Validate.Problem {
    Validate.first([
      checkItem(item),
      checkTotal(capsule, growth(items, id, item)),
      Quotas.check(capsule.account, charge(items, id, item)),
    ]);
  };

  /// Adds or replaces an item; refused when it, or all of them together, are too large, or when there is no room.
  public func put<T>(
    capsule : Store.Capsule,
    kind : Types.ItemKind,
    items : Items<T>,
    id : Text,
    item : Store.Sealed<T>,
  ) : Types.UnitResult {
    switch (check(capsule, items, id, item)) {
      case (?problem) #Err problem;
      case null { insert(capsule, kind, items, id, item); #Ok };
    };
  };

  /// Adds or replaces an item that is known to fit.
  public func insert<T>(
    capsule : Store.Capsule,
    kind : Types.ItemKind,
    items : Items<T>,
    id : Text,
    item : Store.Sealed<T>,
  ) {
    Quotas.charge(capsule.account, charge(items, id, item));
    capsule.roster_bytes := Int.abs(capsule.roster_bytes + growth(items, id, item));
    items.add(id, item);
    Seal.enter(capsule, kind, id, item.seal, null);
  };

  /// Takes an item away; one that isn't there changes nothing.
  public func drop<T>(capsule : Store.Capsule, kind : Types.ItemKind, items : Items<T>, id : Text) {
    let item = items.take(id);
    switch item { case null return; case _ {} };
    Seal.leave(capsule, kind, id);
    Quotas.charge(capsule.account, Quotas.negated(chargeOf(item)));
    capsule.roster_bytes -= bytesOf(item);
  };
};
