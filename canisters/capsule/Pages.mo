/// Paging through maps by key, and through sets: the cursor is the last key of the page before. O(log n + page); owns no state.
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Set "mo:core/Set";
import Text "mo:core/Text";
import Types "mo:core/Types";
import Limits "Limits";

module {
  /// How many items a page has, from what the caller asked for.
  public func size(limit : ?Nat32) : Nat = switch limit {
    case (?asked) Nat.min(Nat.max(Nat32.toNat(asked), 1), Limits.largestPage);
    case null Limits.defaultPage;
  };

  /// The entries whose key is greater than `after`.
  public func entriesAfter<V>(map : Map.Map<Text, V>, after : Text) : Types.Iter<(Text, V)> {
    // The least text that is greater: `after` with a zero character behind it.
    map.entriesFrom(after # "\u{0}");
  };

  /// The same for the values of a set.
  public func valuesFrom(set : Set.Set<Text>, after : ?Text) : Types.Iter<Text> = switch after {
    case (?cursor) set.valuesFrom(cursor # "\u{0}");
    case null set.values();
  };

  /// The entries of a page: after the cursor, or from the beginning.
  public func entriesFrom<V>(map : Map.Map<Text, V>, after : ?Text) : Types.Iter<(Text, V)> = switch after {
    case (?cursor) entriesAfter(map, cursor);
    case null map.entries();
  };
};
