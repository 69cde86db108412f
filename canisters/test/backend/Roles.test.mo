import Principal "mo:core/Principal";
import Set "mo:core/Set";
import { type Test; test } "../Test";
import Roles "../../backend/Roles";

module {
  func installer() : Principal = Principal.fromBlob("installer");
  func helper() : Principal = Principal.fromBlob("helper");
  func stranger() : Principal = Principal.fromBlob("stranger");
  func anonymous() : Principal = Principal.anonymous();
  func management() : Principal = Principal.fromBlob("");
  /// Whoever runs these tests has made this principal a controller of the canister that they run in.
  func controller() : Principal = Principal.fromBlob("controller\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\02");

  func roles() : Roles.State = Roles.start(installer(), null, null);

  public func tests() : [Test] = [
    test("the installer is the first admin, and no operator", func() {
      assert Roles.isAdmin(roles(), installer()) and not Roles.isOperator(roles(), installer());
    }),
    test("admins and operators can be named at the installation", func() {
      let state = Roles.start(installer(), ?[helper()], ?[stranger()]);
      assert Roles.isAdmin(state, helper()) and not Roles.isOperator(state, helper());
      assert Roles.isOperator(state, stranger()) and not Roles.isAdmin(state, stranger());
    }),
    test("those who can hold no role are left out at the installation", func() {
      let state = Roles.start(installer(), ?[anonymous(), management()], ?[anonymous(), management()]);
      assert state.admins.size() == 1 and state.operators.isEmpty();
    }),
    test("neither the anonymous caller nor the management canister can hold a role", func() {
      assert Roles.addAdmin(roles(), anonymous()) != #Ok and Roles.addAdmin(roles(), management()) != #Ok;
      assert Roles.addOperator(roles(), anonymous()) != #Ok and Roles.addOperator(roles(), management()) != #Ok;
    }),
    test("an admin may be added twice and is removed by one removal", func() {
      let state = roles();
      assert Roles.addAdmin(state, helper()) == #Ok and Roles.addAdmin(state, helper()) == #Ok;
      assert Roles.removeAdmin(state, installer(), helper()) == #Ok;
      assert not Roles.isAdmin(state, helper());
    }),
    test("the last admin stays, unless a controller removes it", func() {
      let state = roles();
      assert Roles.removeAdmin(state, installer(), installer()) != #Ok;
      assert Roles.isAdmin(state, installer());
      assert Roles.removeAdmin(state, controller(), installer()) == #Ok;
      assert not Roles.isAdmin(state, installer());
    }),
    test("to remove whoever has no role is a success", func() {
      assert Roles.removeAdmin(roles(), installer(), stranger()) == #Ok;
      assert Roles.removeOperator(roles(), stranger(), 5) == #Ok;
    }),
    test("an operator that was removed is none", func() {
      let state = roles();
      assert Roles.addOperator(state, helper()) == #Ok and Roles.isOperator(state, helper());
      assert Roles.removeOperator(state, helper(), 5) == #Ok;
      assert not Roles.isOperator(state, helper());
    }),
    test("an operator that was removed was one until then", func() {
      let state = roles();
      ignore Roles.addOperator(state, helper());
      assert Roles.wasOperator(state, helper(), 9);
      ignore Roles.removeOperator(state, helper(), 5);
      ignore Roles.removeOperator(state, helper(), 9);
      assert Roles.wasOperator(state, helper(), 4) and not Roles.wasOperator(state, helper(), 5);
      assert not Roles.wasOperator(state, stranger(), 4);
    }),
    test("the canister's controllers count as admins and not as operators", func() {
      assert Roles.isAdmin(roles(), controller()) and not Roles.isOperator(roles(), controller());
    }),
    test("each question lets in its own roles alone", func() {
      let state = Roles.start(installer(), null, ?[helper()]);
      assert Roles.requireAdmin(state, installer()) == null and Roles.requireAdmin(state, helper()) != null;
      assert Roles.requireOperator(state, helper()) == null and Roles.requireOperator(state, installer()) != null;
      assert Roles.requireStaff(state, installer()) == null and Roles.requireStaff(state, helper()) == null;
      assert Roles.requireStaff(state, stranger()) != null and Roles.requireStaff(state, anonymous()) != null;
    }),
  ];
};
