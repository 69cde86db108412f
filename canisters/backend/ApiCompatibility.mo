/// Compatibility of semantic versions: two API versions go together when their major numbers are equal.
import Iter "mo:core/Iter";
import Nat "mo:core/Nat";
import Text "mo:core/Text";

module {
  /// Null when `version` isn't three numbers with dots between them.
  public func major(version : Text) : ?Nat {
    let parts = Iter.toArray(Text.split(version, #char '.'));
    if (parts.size() != 3) return null;
    for (part in parts.values()) { if (Nat.fromText(part) == null) return null };
    Nat.fromText(parts[0]);
  };

  /// Whether both are versions with the same major number.
  public func compatible(a : Text, b : Text) : Bool {
    switch (major(a), major(b)) { case (?x, ?y) x == y; case _ false };
  };
};
