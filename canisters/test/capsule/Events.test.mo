import Array "mo:core/Array";
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import { type Test; same; test } "../Test";
import Access "../../capsule/Access";
import Events "../../capsule/Events";
import Executors "../../capsule/Executors";
import Limits "../../capsule/Limits";
import Persons "../../capsule/Persons";
import Quotas "../../capsule/Quotas";
import Samples "../Samples";
import Seal "../../capsule/Seal";
import Store "../../capsule/Store";
import Types "../../capsule/Types";

module {
  let day : Nat64 = 86_400_000_000_000;
  let start : Nat64 = 1_700_000_000_000_000_000;
  let others : [Types.EventKind] = [#Graduation, #Wedding, #Anniversary, #Birthday, #CapsuleMaturity, #ConnectionCount];

  func owner() : Principal = Samples.owner();
  func executor() : Principal = Principal.fromBlob("executor");
  func second() : Principal = Principal.fromBlob("second executor");

  /// The owner's capsule with two executors.
  func capsule() : Store.Capsule {
    let made = Samples.emptyCapsule();
    for (person in [executor(), second()].values()) assert Executors.add(made, owner(), person, start) == #Ok;
    made;
  };

  func numbered(number : Nat) : Principal = Principal.fromBlob(("executor " # Nat.toText(number)).encodeUtf8());

  func records(c : Store.Capsule, by : Principal, event : Types.AccessEvent, now : Nat64) : Nat64 {
    let #Ok { opens_at } = Events.record(c, by, event, by != owner(), now) else return 0;
    opens_at;
  };

  func opensAt(c : Store.Capsule, event : Types.AccessEvent, time : Nat64) {
    assert not Events.isOpen(c, event, time - 1) and Events.isOpen(c, event, time);
  };

  func exceeded(result : Types.Result<Types.EventOpening>) : ?(Text, Nat, Nat) = switch result {
    case (#Err(#LimitExceeded { what; limit; actual })) ?(what, limit, actual);
    case _ null;
  };

  func invalidField(result : Types.UnitResult) : Text = switch result {
    case (#Err(#InvalidArgument { field })) field;
    case _ "taken, or refused otherwise";
  };

  func bytesUsed(c : Store.Capsule) : Nat = Quotas.usedBy(c.account.books, owner()).record_bytes;

  public func tests() : [Test] = [
    test("what an owner records opens at once, what an executor records when its time has come", func() {
      let c = capsule();
      assert records(c, owner(), #Wedding, start) == start and Events.isOpen(c, #Wedding, start);
      assert records(c, executor(), #AfterDeath, start) == start + 30 * day;
      opensAt(c, #AfterDeath, start + 30 * day);
    }),
    test("a death and what only its name tells wait thirty days, the others seven", func() {
      let c = capsule();
      for (kind in ([#AfterDeath, #Custom] : [Types.EventKind]).values()) assert Events.wait(c, kind) == 30 * day;
      for (kind in others.values()) assert Events.wait(c, kind) == 7 * day;
      assert Events.waits(c).size() == 2 + others.size();
    }),
    test("an owner's choice holds for its kind, and can be taken back", func() {
      let c = capsule();
      assert Events.setWait(c, #AfterDeath, ?(90 * day), start) == #Ok;
      assert Events.wait(c, #AfterDeath) == 90 * day and Events.wait(c, #Custom) == 30 * day;
      assert records(c, executor(), #AfterDeath, start) == start + 90 * day;
      assert Events.setWait(c, #AfterDeath, null, start) == #Ok and Events.wait(c, #AfterDeath) == 30 * day;
    }),
    test("a period is at least a day, and ends", func() {
      let c = capsule();
      for (fine in [day, 3_650 * day].values()) assert Events.setWait(c, #Wedding, ?fine, start) == #Ok;
      for (wrong in ([0, day - 1, 3_650 * day + 1] : [Nat64]).values()) {
        same(invalidField(Events.setWait(c, #Wedding, ?wrong, start)), "wait_ns");
      };
      assert Events.wait(c, #Wedding) == 3_650 * day;
    }),
    test("a longer period holds for what waits already, a shorter one doesn't", func() {
      let c = capsule();
      assert records(c, executor(), #AfterDeath, start) == start + 30 * day;
      assert records(c, executor(), #Wedding, start) == start + 7 * day;
      assert Events.setWait(c, #AfterDeath, ?day, start + day) == #Ok;
      opensAt(c, #AfterDeath, start + 30 * day);
      assert Events.setWait(c, #AfterDeath, ?(60 * day), start + day) == #Ok;
      opensAt(c, #AfterDeath, start + 60 * day);
      assert Events.setWait(c, #AfterDeath, null, start + day) == #Ok;
      opensAt(c, #AfterDeath, start + 60 * day);
      opensAt(c, #Wedding, start + 7 * day);
    }),
    test("what is open stays open when its period becomes longer", func() {
      let c = capsule();
      ignore records(c, executor(), #Wedding, start);
      assert Events.setWait(c, #Wedding, ?(60 * day), start + 7 * day) == #Ok;
      opensAt(c, #Wedding, start + 7 * day);
    }),
    test("recorded again, an event keeps its time, whichever executor records it", func() {
      let c = capsule();
      ignore records(c, executor(), #AfterDeath, start);
      assert records(c, executor(), #AfterDeath, start + 10 * day) == start + 30 * day;
      assert records(c, second(), #AfterDeath, start + 10 * day) == start + 30 * day;
      assert Events.recordedBy(c, executor()).size() == 1 and Events.recordedBy(c, second()).size() == 0;
      assert records(c, second(), #AfterDeath, start + 40 * day) == start + 30 * day;
    }),
    test("an owner opens at once what an executor recorded, and nothing later moves it", func() {
      let c = capsule();
      ignore records(c, executor(), #AfterDeath, start);
      assert records(c, owner(), #AfterDeath, start + day) == start + day;
      assert records(c, owner(), #AfterDeath, start + 2 * day) == start + day;
      opensAt(c, #AfterDeath, start + day);
    }),
    test("after a veto an event waits the whole period again", func() {
      let c = capsule();
      ignore records(c, executor(), #AfterDeath, start);
      assert Events.revoke(c, #AfterDeath) == #Ok;
      assert not Events.isOpen(c, #AfterDeath, start + 90 * day);
      assert records(c, executor(), #AfterDeath, start + 29 * day) == start + 59 * day;
      opensAt(c, #AfterDeath, start + 59 * day);
    }),
    test("what is open shuts when it is revoked, and what isn't on record can't be", func() {
      let c = capsule();
      ignore records(c, owner(), #Birthday 18, start);
      assert Events.revoke(c, #Birthday 18) == #Ok and not Events.isOpen(c, #Birthday 18, start + day);
      assert Events.revoke(c, #Birthday 18) == #Err(#NotFound { kind = "event"; id = "Birthday:18" });
    }),
    test("what a removed executor recorded falls as far as it waits, and only that", func() {
      let c = capsule();
      ignore records(c, executor(), #Wedding, start);
      ignore records(c, executor(), #AfterDeath, start);
      ignore records(c, second(), #Custom "moved", start);
      assert Executors.remove(c, executor(), start + 7 * day) == #Ok;
      assert Events.isOpen(c, #Wedding, start + 7 * day) and not Events.isOpen(c, #AfterDeath, start + 90 * day);
      opensAt(c, #Custom "moved", start + 30 * day);
      assert not Access.isExecutor(c, executor()) and Access.isExecutor(c, second());
    }),
    test("whoever is blocked records nothing, and what they recorded falls", func() {
      let c = capsule();
      ignore records(c, executor(), #AfterDeath, start);
      let person : Types.PersonRef = #Principal(executor());
      for (status in ([#Accepted, #Blocked] : [Types.ConnectionStatus]).values()) {
        c.connections.add(Persons.key(person), Seal.connection(Samples.connection(person, status)));
        Executors.noteConnection(c, person, start);
        assert Access.isExecutor(c, executor()) == (status == #Accepted);
        assert Events.all(c).isEmpty() == (status == #Blocked);
      };
    }),
    test("owners, controllers, nobody and people who are shut out can't be named", func() {
      let c = capsule();
      let shutOut = Principal.fromBlob("shut out");
      let person : Types.PersonRef = #Principal shutOut;
      c.connections.add(Persons.key(person), Seal.connection(Samples.connection(person, #Revoked)));
      for (unfit in [owner(), Principal.anonymous(), shutOut].values()) {
        same(invalidField(Executors.add(c, owner(), unfit, start)), "executor");
      };
      assert c.executors.size() == 2;
    }),
    test("a capsule has at most twenty executors, and naming one again is none more", func() {
      let c = capsule();
      for (number in Nat.range(3, 21)) {
        assert Executors.add(c, owner(), numbered number, start) == #Ok;
      };
      assert Executors.add(c, owner(), executor(), start) == #Ok;
      let more = Executors.add(c, owner(), Principal.fromBlob("one more"), start);
      assert more == #Err(#LimitExceeded { what = "executors of a capsule"; limit = 20; actual = 21 });
    }),
    test("an executor records eight events, whatever the others and the owner recorded", func() {
      let c = capsule();
      for (number in Nat.range(0, Limits.eventsPerCapsule)) {
        assert records(c, owner(), #Custom(Nat.toText(number)), start) == start;
      };
      let refused = Events.record(c, owner(), #AfterDeath, false, start);
      assert exceeded refused == ?("events of a capsule", 1_000, 1_001);
      for (person in [executor(), second()].values()) {
        for (number in Nat.range(0, 8)) {
          let years = Nat32.fromNat(if (person == executor()) number else number + 100);
          assert records(c, person, #Birthday years, start) > 0;
        };
        let more = Events.record(c, person, #AfterDeath, true, start);
        assert exceeded more == ?("events of an executor", 8, 9);
      };
    }),
    test("an executor's event has room though the owner's quota is full, and everything is given back", func() {
      let c = capsule();
      let before = bytesUsed c;
      assert before == 20_000;
      let books = c.account.books;
      let { person } = books.limits;
      books.limits := { books.limits with person = { person with record_bytes = before } };
      assert exceeded(Events.record(c, owner(), #Wedding, false, start)) != null;
      assert records(c, executor(), #AfterDeath, start) > 0 and bytesUsed c == before + 100;
      assert Executors.remove(c, executor(), start) == #Ok and Executors.remove(c, second(), start) == #Ok;
      assert bytesUsed c == 0;
    }),
    test("what a full set of executors records is never more than was charged when they were named", func() {
      var name = "";
      for (_ in Nat.range(0, Limits.nameChars)) name #= "\u{1F600}";
      let longest = Quotas.event(#Custom name).record_bytes;
      assert Limits.eventsPerExecutor * longest <= Quotas.executor.record_bytes;
    }),
    test("only a nameless event is refused", func() {
      let c = capsule();
      let #Err(#InvalidArgument { field }) = Events.record(c, executor(), #Custom "", true, start) else return assert false;
      same(field, "event");
    }),
    test("each event has an id of its own", func() {
      let events : [Types.AccessEvent] = [
        #AfterDeath,
        #Graduation,
        #Wedding,
        #Anniversary 1,
        #Anniversary 11,
        #Birthday 1,
        #CapsuleMaturity 1,
        #ConnectionCount 1,
        #Custom "AfterDeath",
        #Custom "1",
      ];
      let ids = Map.fromIter<Text, ()>(events.values().map(func event = (Events.key(event), ())));
      assert ids.size() == events.size();
    }),
  ];
};
