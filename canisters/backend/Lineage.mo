/// Which ids this backend has had: restored from a backup, it is another canister than the one that created the personal
/// canisters of before. The canister enters its ids itself, so nobody can add one: only a controller, who could replace the
/// code anyway, can load a state that has them. Owns the list; what follows from a former id is decided elsewhere.
import Array "mo:core/Array";
import Principal "mo:core/Principal";
import AuditLog "AuditLog";

module {
  /// In the order in which the backend had them.
  public type State = { var ids : [Principal] };

  /// No ids.
  public func start() : State = { var ids = [] };

  /// Enters the present id, before anything is done that others know it by. Where it is another one than before, that is
  /// noted as an act of the backend's.
  public func enter(state : State, acts : AuditLog.Log, present : Principal, now : Nat64) {
    let count = state.ids.size();
    if (count > 0) {
      let former = state.ids[count - 1];
      if (former == present) return;
      AuditLog.note(acts, present, { method = "restored"; what = func() : Text = "was " # former.toText() }, now);
    };
    state.ids := state.ids.filter(func each = each != present).concat([present]);
  };

  /// Whether the backend has, or had, this id.
  public func has(state : State, present : Principal, id : Principal) : Bool {
    id == present or state.ids.find(func each = each == id) != null;
  };

  /// All ids, the present one last.
  public func all(state : State, present : Principal) : [Principal] {
    state.ids.filter(func each = each != present).concat([present]);
  };
};
