/// Runs the unit tests of the Motoko modules, one in a call, so that each has a heap of its own. `scripts/test`
/// compiles this actor, finds the names of the tests in the sources and calls `run` for each.
import Array "mo:core/Array";
import Runtime "mo:core/Runtime";
import Access "capsule/Access.test";
import ArgumentLimits "capsule/ArgumentLimits.test";
import Dates "capsule/Dates.test";
import Events "capsule/Events.test";
import Extents "capsule/Extents.test";
import Galleries "capsule/Galleries.test";
import Ids "capsule/Ids.test";
import Limits "capsule/Limits.test";
import Manifest "capsule/Manifest.test";
import MerkleTree "capsule/MerkleTree.test";
import Packed "capsule/Packed.test";
import Pages "capsule/Pages.test";
import Quotas "capsule/Quotas.test";
import Roster "capsule/Roster.test";
import Validate "capsule/Validate.test";
import ApiCompatibility "backend/ApiCompatibility.test";
import BoundedLog "backend/BoundedLog.test";
import CreationPolicy "backend/CreationPolicy.test";
import Deposits "backend/Deposits.test";
import Expiry "backend/Expiry.test";
import Funding "backend/Funding.test";
import Hosting "backend/Hosting.test";
import Leases "backend/Leases.test";
import Reserve "backend/Reserve.test";
import Roles "backend/Roles.test";
import Verification "backend/Verification.test";
import ImportQuotas "personal/ImportQuotas.test";
import CanisterHistory "../capsule/CanisterHistory";
import History "../backend/History";
import RolesOf "../backend/Roles";
import Test "Test";

persistent actor {
  /// A history, and against what it is judged. Operators with the time of their removal, where they were removed.
  public type HistoryQuestion = {
    backends : [Principal];
    owner : Principal;
    operators : [{ principal : Principal; removed_at : ?Nat64 }];
    approved : [Blob];
    history : CanisterHistory.History;
    attested : ?History.Attested;
    after_verification : Bool;
  };

  transient let suites : [(Text, [Test.Test])] = [
    ("capsule/Access", Access.tests()),
    ("capsule/ArgumentLimits", ArgumentLimits.tests()),
    ("capsule/Dates", Dates.tests()),
    ("capsule/Events", Events.tests()),
    ("capsule/Extents", Extents.tests()),
    ("capsule/Galleries", Galleries.tests()),
    ("capsule/Ids", Ids.tests()),
    ("capsule/Limits", Limits.tests()),
    ("capsule/Manifest", Manifest.tests()),
    ("capsule/MerkleTree", MerkleTree.tests()),
    ("capsule/Packed", Packed.tests()),
    ("capsule/Pages", Pages.tests()),
    ("capsule/Quotas", Quotas.tests()),
    ("capsule/Roster", Roster.tests()),
    ("capsule/Validate", Validate.tests()),
    ("backend/ApiCompatibility", ApiCompatibility.tests()),
    ("backend/BoundedLog", BoundedLog.tests()),
    ("backend/CreationPolicy", CreationPolicy.tests()),
    ("backend/Deposits", Deposits.tests()),
    ("backend/Expiry", Expiry.tests()),
    ("backend/Funding", Funding.tests()),
    ("backend/Hosting", Hosting.tests()),
    ("backend/Leases", Leases.tests()),
    ("backend/Reserve", Reserve.tests()),
    ("backend/Roles", Roles.tests()),
    ("backend/Verification", Verification.tests()),
    ("personal/ImportQuotas", ImportQuotas.tests()),
  ];

  /// The backend's judgement, for tests that judge the same histories in Python.
  public shared query func judge(question : HistoryQuestion) : async History.Judgement {
    let roles = RolesOf.start(question.backends[0], null, null);
    for ({ principal; removed_at } in question.operators.values()) {
      ignore RolesOf.addOperator(roles, principal);
      switch removed_at { case (?at) ignore RolesOf.removeOperator(roles, principal, at); case null {} };
    };
    let known : History.Known = {
      question with
      isBackend = func(id : Principal) : Bool = question.backends.find(func each = each == id) != null;
      wasOperator = func(other : Principal, at : Nat64) : Bool = RolesOf.wasOperator(roles, other, at);
      isApproved = func(hash : Blob) : Bool = question.approved.find(func each = each == hash) != null;
    };
    let moment = if (question.after_verification) #After else #Permitted; // as an owner judges, who knows of no permit
    History.judge(known, question.history, question.attested, moment);
  };

  /// Traps when the test fails, and when there is no test of that name.
  public shared query func run(suite : Text, name : Text) : async () {
    let ?(_, tests) = suites.find(func((each, _)) = each == suite) else Runtime.trap("Main.mo has no suite " # suite);
    let ?test = tests.find(func each = each.name == name) else Runtime.trap(suite # " has no test " # name);
    test.run();
  };
};
