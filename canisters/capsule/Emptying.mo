/// Takes all contents out of a capsule, a message's worth at a time, so that its head alone stays. Owns the order, and how
/// much is a message's worth; how each thing is taken away is its own module's business.
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Events "Events";
import Galleries "Galleries";
import Memories "Memories";
import Quotas "Quotas";
import Roster "Roster";
import Store "Store";
import Uploads "Uploads";

module {
  /// Things that one message takes away at least, counted with the chunks of a memory, and the entries of a gallery.
  let atOnce = 2_000;

  /// Goes on with it; true when nothing is left. `owner`: who may have uploads in progress.
  public func step(store : Store.Store, capsule : Store.Capsule, owner : Principal) : Bool {
    var room = atOnce;
    func spend(cost : Nat) { room := if (cost < room) room - cost else 0 };

    // Without galleries no memory has to be taken out of one.
    while (room > 0 and not capsule.galleries.isEmpty()) {
      let ?(id, { record }) = capsule.galleries.minEntry() else return false;
      spend(1 + record.memory_entries.size());
      Galleries.drop(store, capsule, id);
    };
    while (room > 0 and not capsule.memories.isEmpty()) {
      let ?(id, { content }) = capsule.memories.minEntry() else return false;
      spend(2 + (switch content { case (?{ chunks }) chunks.size(); case null 0 }));
      Memories.drop(store, capsule, id);
    };
    while (room > 0 and not capsule.connections.isEmpty()) {
      let ?(id, _) = capsule.connections.minEntry() else return false;
      spend(1);
      Roster.drop(capsule, #Connection, capsule.connections, id);
    };
    while (room > 0 and not capsule.groups.isEmpty()) {
      let ?(id, _) = capsule.groups.minEntry() else return false;
      spend(1);
      Roster.drop(capsule, #ConnectionGroup, capsule.groups, id);
    };
    if (room == 0) return false;
    Uploads.abortAll(store, capsule, owner);
    for ({ event } in Events.all(capsule).values()) ignore Events.revoke(capsule, event);
    for (_ in capsule.executors.values()) Quotas.charge(capsule.account, Quotas.negated(Quotas.executor));
    capsule.executors.clear();
    capsule.event_waits.clear();
    true;
  };
};
