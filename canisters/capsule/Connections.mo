/// Connections of a capsule to other people, and groups of people that access rules can name.
/// Not who may write (the service asks first).
import Array "mo:core/Array";
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Text "mo:core/Text";
import Persons "Persons";
import Roster "Roster";
import Seal "Seal";
import Store "Store";
import Types "Types";
import Validate "Validate";

module {
  // ---- Connections ----

  /// A new connection is pending. Nobody is connected to themselves.
  public func add(capsule : Store.Capsule, caller : Principal, peer : Types.PersonRef, now : Nat64) : Types.UnitResult {
    switch (Validate.person("peer", peer)) { case null {}; case (?problem) return #Err problem };
    if (Persons.isPrincipal(peer, caller) or peer == capsule.subject) {
      return #Err(#InvalidArgument { field = "peer"; reason = "a capsule can't be connected to its own subject" });
    };
    let key = Persons.key(peer);
    if (capsule.connections.containsKey(key)) return #Err(#AlreadyExists { kind = "connection"; id = key });
    putConnection(capsule, { peer; status = #Pending; created_at = now; updated_at = now });
  };

  func putConnection(capsule : Store.Capsule, connection : Types.Connection) : Types.UnitResult {
    Roster.put(capsule, #Connection, capsule.connections, Persons.key(connection.peer), Seal.connection(connection));
  };

  /// Refuses a peer without a connection.
  public func updateStatus(
    capsule : Store.Capsule,
    peer : Types.PersonRef,
    status : Types.ConnectionStatus,
    now : Nat64,
  ) : Types.UnitResult {
    let key = Persons.key(peer);
    let ?known = capsule.connections.get(key) else return #Err(#NotFound { kind = "connection"; id = key });
    putConnection(capsule, { known.record with status; updated_at = now });
  };

  /// Removes the connection, and the person from the capsule's groups.
  public func remove(capsule : Store.Capsule, peer : Types.PersonRef, now : Nat64) : Types.UnitResult {
    let key = Persons.key(peer);
    if (not capsule.connections.containsKey(key)) return #Err(#NotFound { kind = "connection"; id = key });
    Roster.drop(capsule, #Connection, capsule.connections, key);
    func isOther(member : Types.PersonRef) : Bool = member != peer;
    let affected = capsule.groups.values().filter(func({ record }) = not record.members.all(isOther)).toArray();
    for ({ record } in affected.values()) {
      let kept = { record with members = record.members.filter(isOther); updated_at = now };
      Roster.insert(capsule, #ConnectionGroup, capsule.groups, record.id, Seal.group(kept));
    };
    #Ok;
  };

  /// In the order of the people's keys.
  public func list(
    capsule : Store.Capsule
  ) : [Types.Connection] = capsule.connections.values().map(func({ record }) = record).toArray();

  // ---- Groups ----

  /// The new group's id.
  public func addGroup(
    capsule : Store.Capsule,
    newId : () -> Text,
    group : Types.NewConnectionGroup,
    now : Nat64,
  ) : Types.TextResult {
    switch (Validate.group(group)) { case null {}; case (?problem) return #Err problem };
    let record : Types.ConnectionGroup = { group with id = newId(); created_at = now; updated_at = now };
    switch (putGroup(capsule, record)) { case (#Ok) #Ok(record.id); case (#Err problem) #Err problem };
  };

  func putGroup(capsule : Store.Capsule, group : Types.ConnectionGroup) : Types.UnitResult {
    Roster.put(capsule, #ConnectionGroup, capsule.groups, group.id, Seal.group(group));
  };

  /// Changes what the change names; the whole is checked again.
  public func updateGroup(
    capsule : Store.Capsule,
    id : Text,
    change : Types.ConnectionGroupUpdate,
    now : Nat64,
  ) : Types.UnitResult {
    let ?{ record } = capsule.groups.get(id) else return #Err(#NotFound { kind = "connection group"; id });
    let group : Types.ConnectionGroup = {
      record with
      name = switch (change.name) { case (?given) given; case null record.name };
      description = switch (change.description) { case null record.description; case given given };
      members = switch (change.members) { case (?given) given; case null record.members };
      updated_at = now;
    };
    switch (Validate.group(group)) { case null {}; case (?problem) return #Err problem };
    putGroup(capsule, group);
  };

  /// Access rules that name the group grant nothing by it any more.
  public func removeGroup(capsule : Store.Capsule, id : Text) : Types.UnitResult {
    if (not capsule.groups.containsKey(id)) return #Err(#NotFound { kind = "connection group"; id });
    Roster.drop(capsule, #ConnectionGroup, capsule.groups, id);
    #Ok;
  };

  /// In the order of the ids.
  public func listGroups(
    capsule : Store.Capsule
  ) : [Types.ConnectionGroup] = capsule.groups.values().map(func({ record }) = record).toArray();
};
