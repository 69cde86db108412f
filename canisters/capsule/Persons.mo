/// Names of people: the key under which a `PersonRef` is kept, and comparisons. Owns no state.
import Principal "mo:core/Principal";
import Types "Types";

module {
  /// "principal:<text>" or "opaque:<text>"; also a connection's id in a manifest.
  public func key(person : Types.PersonRef) : Text = switch person {
    case (#Principal principal) "principal:" # principal.toText();
    case (#Opaque name) "opaque:" # name;
  };

  /// Whether the person is known by just this principal.
  public func isPrincipal(person : Types.PersonRef, principal : Principal) : Bool = person == #Principal principal;
};
