/// Who may do what: admins and operators. Owners are known by their capsules, not here. The canister's controllers count as
/// admins, so that a lost admin key can be replaced by those who could replace the code anyway.

import Principal "mo:core/Principal";
import Set "mo:core/Set";

import Errors "CreationErrors";
import T "BackendTypes";

module {
  public type State = { admins : Set.Set<Principal>; operators : Set.Set<Principal> };

  /// The installer is the first admin. Principals that can hold no role are left out.
  public func start(installer : Principal, admins : ?[Principal], operators : ?[Principal]) : State {
    let state = { admins = Set.empty<Principal>(); operators = Set.empty<Principal>() };
    ignore addAdmin(state, installer);
    for (admin in (switch admins { case (?some) some; case null [] }).values()) ignore addAdmin(state, admin);
    for (operator in (switch operators { case (?some) some; case null [] }).values()) ignore addOperator(state, operator);
    state;
  };

  public func isAdmin(state : State, caller : Principal) : Bool {
    not Principal.isAnonymous(caller) and
    (Set.contains(state.admins, Principal.compare, caller) or Principal.isController(caller));
  };

  public func isOperator(state : State, caller : Principal) : Bool {
    not Principal.isAnonymous(caller) and Set.contains(state.operators, Principal.compare, caller);
  };

  /// Null when the caller may go on, else the error to answer with.
  public func requireAdmin(state : State, caller : Principal) : ?T.CreationError {
    if (isAdmin(state, caller)) null else ?Errors.unauthorized(caller, "an admin");
  };

  public func requireOperator(state : State, caller : Principal) : ?T.CreationError {
    if (isOperator(state, caller)) null else ?Errors.unauthorized(caller, "an operator");
  };

  public func requireStaff(state : State, caller : Principal) : ?T.CreationError {
    if (isAdmin(state, caller) or isOperator(state, caller)) null else ?Errors.unauthorized(caller, "an admin or an operator");
  };

  public func addAdmin(state : State, admin : Principal) : T.CreationResult {
    switch (unfit(admin)) { case (?error) return #Err error; case null {} };
    Set.add(state.admins, Principal.compare, admin);
    #Ok;
  };

  /// Removing someone who isn't an admin is a success. The last admin stays, unless a controller removes it: controllers
  /// are admins without being listed, so the backend is never without one.
  public func removeAdmin(state : State, caller : Principal, admin : Principal) : T.CreationResult {
    let isLast = Set.size(state.admins) == 1 and Set.contains(state.admins, Principal.compare, admin);
    if (isLast and not Principal.isController(caller)) {
      return #Err(Errors.invalid(Principal.toText(admin) # " is the last admin; add another one first."));
    };
    Set.remove(state.admins, Principal.compare, admin);
    #Ok;
  };

  public func addOperator(state : State, operator : Principal) : T.CreationResult {
    switch (unfit(operator)) { case (?error) return #Err error; case null {} };
    Set.add(state.operators, Principal.compare, operator);
    #Ok;
  };

  /// Its leases end with its role: every operator method checks the role first.
  public func removeOperator(state : State, operator : Principal) : T.CreationResult {
    Set.remove(state.operators, Principal.compare, operator);
    #Ok;
  };

  func unfit(principal : Principal) : ?T.CreationError {
    if (Principal.isAnonymous(principal)) return ?Errors.invalid("The anonymous principal cannot hold a role.");
    if (principal == Principal.fromText("aaaaa-aa")) return ?Errors.invalid("The management canister cannot hold a role.");
    null;
  };
};
