/// Galleries, connections and connection groups are read all at once, so that a capsule may hold only as many bytes of
/// them as fit a reply. Owns that count; what the items mean is their own modules' business.
import Map "mo:core/Map";
import Text "mo:core/Text";
import Limits "Limits";
import Store "Store";
import Types "Types";
import Validate "Validate";

module {
  type Items<T> = Map.Map<Text, Store.Sealed<T>>;

  func bytesOf<T>(item : ?Store.Sealed<T>) : Nat = switch item {
    case (?{ seal }) seal.record_bytes;
    case null 0;
  };

  /// Adds or replaces an item; refused when it, or all of them together, are too large.
  public func put<T>(capsule : Store.Capsule, items : Items<T>, id : Text, item : Store.Sealed<T>) : Types.UnitResult {
    let total : Nat = capsule.roster_bytes + item.seal.record_bytes - bytesOf(items.get(id));
    let problem = Validate.first([
      Validate.most("bytes of one gallery, connection or group", Limits.recordBytes, item.seal.record_bytes),
      Validate.most("bytes of a capsule's galleries, connections and groups", Limits.rosterBytes, total),
    ]);
    switch problem { case null {}; case (?found) return #Err found };
    items.add(id, item);
    capsule.roster_bytes := total;
    #Ok;
  };

  /// Replaces an item by one that has lost something, which always fits.
  public func replaceSmaller<T>(capsule : Store.Capsule, items : Items<T>, id : Text, item : Store.Sealed<T>) {
    capsule.roster_bytes := capsule.roster_bytes + item.seal.record_bytes - bytesOf(items.get(id));
    items.add(id, item);
  };

  public func drop<T>(capsule : Store.Capsule, items : Items<T>, id : Text) {
    capsule.roster_bytes -= bytesOf(items.take(id));
  };
};
