/// Who may do what: admins and operators. Owners are known by their capsules, not here. The canister's controllers
/// count as admins, so that a lost admin key can be replaced by those who could replace the code anyway.
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import AuditLog "AuditLog";
import Errors "Errors";
import Types "Types";

module {
  /// `former`: operators that were removed, and when (nanoseconds since 1970).
  public type State = {
    admins : Set.Set<Principal>;
    operators : Set.Set<Principal>;
    former : Map.Map<Principal, Nat64>;
    /// The operator that was added last; it may have been removed since.
    var newest : ?Principal;
    /// What admins did.
    acts : AuditLog.Log;
    /// Whether nothing is written (`Maintenance`); set anew whenever the module starts.
    var closed : Bool;
  };

  /// The installer is the first admin. Principals that can hold no role are left out.
  public func start(installer : Principal, admins : ?[Principal], operators : ?[Principal]) : State {
    let state : State = {
      admins = Set.empty<Principal>();
      operators = Set.empty<Principal>();
      former = Map.empty<Principal, Nat64>();
      var newest = null;
      acts = AuditLog.start();
      var closed = false;
    };
    ignore addAdmin(state, installer);
    for (admin in (switch admins { case (?some) some; case null [] }).values()) { ignore addAdmin(state, admin) };
    for (operator in (switch operators { case (?some) some; case null [] }).values()) {
      ignore addOperator(state, operator);
    };
    state;
  };

  /// Listed, or a controller of this canister.
  public func isAdmin(state : State, caller : Principal) : Bool {
    not caller.isAnonymous() and
    (state.admins.contains(caller) or caller.isController());
  };

  /// Listed; controllers don't count.
  public func isOperator(state : State, caller : Principal) : Bool {
    not caller.isAnonymous() and state.operators.contains(caller);
  };

  /// Whether the principal is an operator, or was removed after the time `at`.
  public func wasOperator(state : State, principal : Principal, at : Nat64) : Bool {
    if (isOperator(state, principal)) return true;
    switch (state.former.get(principal)) { case (?removedAt) removedAt > at; case null false };
  };

  /// The operator that was added last, of those that still are one.
  public func newestOperator(state : State) : ?Principal {
    switch (state.newest) { case (?newest) if (isOperator(state, newest)) return ?newest; case null {} };
    state.operators.values().next();
  };

  /// An admin or an operator.
  public func isStaff(state : State, caller : Principal) : Bool = isAdmin(state, caller) or isOperator(state, caller);

  /// Null when the caller may go on, else the error to answer with.
  public func requireAdmin(state : State, caller : Principal) : ?Types.CreationError {
    if (isAdmin(state, caller)) null else ?Errors.unauthorized(caller, "an admin");
  };

  /// The change, if the caller is an admin; once it is made it is in the audit log.
  public func change(
    state : State,
    caller : Principal,
    act : AuditLog.Act,
    now : Nat64,
    apply : () -> Types.CreationResult,
  ) : Types.CreationResult {
    switch (requireAdmin(state, caller)) { case null {}; case (?problem) return #Err problem };
    switch (requireOpen state) { case null {}; case (?problem) return #Err problem };
    let result = apply();
    switch result { case (#Ok) AuditLog.note(state.acts, caller, act, now); case (#Err _) {} };
    result;
  };

  /// Null when the caller is an operator, and operators may go on now.
  public func requireOperator(state : State, caller : Principal) : ?Types.CreationError {
    if (isOperator(state, caller)) requireOpen state else ?Errors.unauthorized(caller, "an operator");
  };

  /// Null unless nothing is written now.
  public func requireOpen(state : State) : ?Types.CreationError {
    if (not state.closed) return null;
    let message = "The backend is being upgraded; nothing is written until its new module was found sound.";
    ?Errors.make(#Disabled, message, true);
  };

  /// Null when the caller is an admin or an operator.
  public func requireStaff(state : State, caller : Principal) : ?Types.CreationError {
    if (isStaff(state, caller)) return null;
    ?Errors.unauthorized(caller, "an admin or an operator");
  };

  /// Refuses the anonymous principal and the management canister. Adding one again is a success.
  public func addAdmin(state : State, admin : Principal) : Types.CreationResult {
    switch (unfit(admin)) { case null {}; case (?problem) return #Err problem };
    state.admins.add(admin);
    #Ok;
  };

  /// Removing someone who isn't an admin is a success. The last admin stays, unless a controller removes it:
  /// controllers are admins without being listed, so the backend is never without one.
  public func removeAdmin(state : State, caller : Principal, admin : Principal) : Types.CreationResult {
    let isLast = state.admins.size() == 1 and state.admins.contains(admin);
    if (isLast and not caller.isController()) {
      return #Err(Errors.invalid(admin.toText() # " is the last admin; add another one first."));
    };
    state.admins.remove(admin);
    #Ok;
  };

  /// Refuses whom `addAdmin` refuses.
  public func addOperator(state : State, operator : Principal) : Types.CreationResult {
    switch (unfit(operator)) { case null {}; case (?problem) return #Err problem };
    if (not state.operators.contains(operator)) state.newest := ?operator;
    state.operators.add(operator);
    #Ok;
  };

  /// Its leases end with its role: every operator method checks the role first.
  public func removeOperator(state : State, operator : Principal, now : Nat64) : Types.CreationResult {
    if (state.operators.contains(operator)) state.former.add(operator, now);
    state.operators.remove(operator);
    #Ok;
  };

  func unfit(principal : Principal) : ?Types.CreationError {
    if (principal.isAnonymous()) return ?Errors.invalid("The anonymous principal cannot hold a role.");
    if (principal == Principal.fromText("aaaaa-aa")) {
      return ?Errors.invalid("The management canister cannot hold a role.");
    };
    null;
  };
};
