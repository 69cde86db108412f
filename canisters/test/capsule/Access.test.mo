import List "mo:core/List";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import { type Test; test } "../Test";
import Access "../../capsule/Access";
import Events "../../capsule/Events";
import Samples "../Samples";
import Persons "../../capsule/Persons";
import Seal "../../capsule/Seal";
import Store "../../capsule/Store";
import Types "../../capsule/Types";

module {
  func owner() : Principal = Samples.owner();
  func controller() : Principal = Principal.fromBlob("their controller");
  func friend() : Principal = Principal.fromBlob("friend");
  func stranger() : Principal = Principal.fromBlob("stranger");
  func anonymous() : Principal = Principal.anonymous();

  /// A capsule with an owner, a controller and a group that the friend is in.
  func capsule() : Store.Capsule {
    let made = Samples.emptyCapsule();
    let granted = { granted_at = 0 : Nat64; granted_by = #Principal(owner()) };
    made.controllers.add(Persons.key(#Principal(controller())), (#Principal(controller()), granted));
    made.groups.add("family", Seal.group(Samples.group("family", [#Principal(friend())])));
    made;
  };

  func reads(c : Store.Capsule, caller : Principal, access : Types.MemoryAccess) : Bool {
    Access.Reader(c, caller, 1_000, true).mayRead(Seal.memory(Samples.memory(access, null), null));
  };

  func connect(c : Store.Capsule, peer : Principal, status : Types.ConnectionStatus) {
    let person : Types.PersonRef = #Principal peer;
    c.connections.add(Persons.key(person), Seal.connection(Samples.connection(person, status)));
  };

  func record(c : Store.Capsule, event : Types.AccessEvent) {
    ignore Events.record(c, owner(), event, false, 0);
  };

  func toFriend() : Types.MemoryAccess = #Custom { individuals = [#Principal(friend())]; groups = [] };
  let toFamily : Types.MemoryAccess = #Custom { individuals = []; groups = ["unknown", "family"] };

  public func tests() : [Test] = [
    test("the owner has to do with people and connections, not with those who are shut out", func() {
      let c = capsule();
      assert Access.knows(c, owner()) and Access.knows(c, controller());
      assert not Access.knows(c, friend());
      for (status in [#Pending, #Accepted].values()) { connect(c, friend(), status); assert Access.knows(c, friend()) };
      for (status in [#Blocked, #Revoked].values()) { connect(c, friend(), status); assert not Access.knows(c, friend()) };
      connect(c, anonymous(), #Accepted);
      assert not Access.knows(c, anonymous());
    }),
    test("owners and controllers write, others don't", func() {
      let c = capsule();
      assert Access.mayWrite(c, owner()) and Access.mayWrite(c, controller());
      assert not Access.mayWrite(c, friend()) and not Access.mayWrite(c, anonymous());
    }),
    test("a controller is no owner", func() {
      assert Access.isOwner(capsule(), owner()) and not Access.isOwner(capsule(), controller());
    }),
    test("the subject sees the capsule's head without being an owner", func() {
      let c = capsule();
      c.subject := #Principal(friend());
      assert Access.maySeeInfo(c, friend()) and not Access.maySeeInfo(c, stranger());
      assert not Access.mayWrite(c, friend());
    }),
    test("owners and controllers read what is private, nobody else does", func() {
      assert reads(capsule(), owner(), #Private) and reads(capsule(), controller(), #Private);
      assert not reads(capsule(), friend(), #Private);
    }),
    test("anyone reads what is public, anonymously too", func() {
      assert reads(capsule(), stranger(), #Public) and reads(capsule(), anonymous(), #Public);
    }),
    test("whoever is named reads, by name or by a group", func() {
      assert reads(capsule(), friend(), toFriend()) and reads(capsule(), friend(), toFamily);
      assert not reads(capsule(), stranger(), toFriend()) and not reads(capsule(), stranger(), toFamily);
    }),
    test("the anonymous caller is nobody, even if a rule names the anonymous principal", func() {
      assert not reads(capsule(), anonymous(), #Custom { individuals = [#Principal(anonymous())]; groups = [] });
    }),
    test("the owner shuts out whom a rule names, by blocking or revoking the connection", func() {
      for (status in ([#Blocked, #Revoked] : [Types.ConnectionStatus]).values()) {
        let c = capsule();
        connect(c, friend(), status);
        assert not reads(c, friend(), toFriend()) and not reads(c, friend(), toFamily);
        assert reads(c, friend(), #Public);
      };
    }),
    test("a connection that is pending or accepted takes nothing away", func() {
      for (status in ([#Pending, #Accepted] : [Types.ConnectionStatus]).values()) {
        let c = capsule();
        connect(c, friend(), status);
        assert reads(c, friend(), toFriend());
      };
    }),
    test("a rule that ends in private never opens, however it is wrapped", func() {
      assert not Access.mayOpen(#Private);
      assert not Access.mayOpen(#Scheduled { accessible_after = 0; access = #Private });
      assert not Access.mayOpen(#EventTriggered { trigger_event = #Wedding; access = #Private });
    }),
    test("any other rule may open", func() {
      for (access in ([#Public, toFamily] : [Types.MemoryAccess]).values()) {
        assert Access.mayOpen access;
        assert Access.mayOpen(#EventTriggered { trigger_event = #Wedding; access });
      };
    }),
    test("a schedule opens at its time and not a nanosecond earlier", func() {
      assert reads(capsule(), friend(), #Scheduled { accessible_after = 1_000; access = toFriend() });
      assert not reads(capsule(), friend(), #Scheduled { accessible_after = 1_001; access = toFriend() });
      assert not reads(capsule(), stranger(), #Scheduled { accessible_after = 1_000; access = toFriend() });
    }),
    test("an event opens what waits for it, and not what waits for another", func() {
      let c = capsule();
      let rule : Types.MemoryAccess = #EventTriggered { trigger_event = #Graduation; access = toFriend() };
      assert not reads(c, friend(), rule);
      record(c, #Wedding);
      assert not reads(c, friend(), rule);
      record(c, #Graduation);
      assert reads(c, friend(), rule) and not reads(c, stranger(), rule);
    }),
  ];
};
