/// Endpoints for admins to name and remove admins and operators, and what admins did.
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import AuditLog "AuditLog";
import Clock "../capsule/Clock";
import Roles "Roles";
import Types "Types";

mixin (roles : Roles.State) {
  func change(caller : Principal, method : Text, who : Principal, apply : () -> Types.CreationResult) : Types.CreationResult {
    Roles.change(roles, caller, { method; what = func() : Text = who.toText() }, Clock.now(), apply);
  };

  public shared ({ caller }) func add_admin(admin : Principal) : async Types.CreationResult {
    change(caller, "add_admin", admin, func() = Roles.addAdmin(roles, admin));
  };

  public shared ({ caller }) func remove_admin(admin : Principal) : async Types.CreationResult {
    change(caller, "remove_admin", admin, func() = Roles.removeAdmin(roles, caller, admin));
  };

  public shared query ({ caller }) func list_admins() : async Types.Result<[Principal]> {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null #Ok(roles.admins.toArray()) };
  };

  public shared ({ caller }) func add_operator(operator : Principal) : async Types.CreationResult {
    change(caller, "add_operator", operator, func() = Roles.addOperator(roles, operator));
  };

  public shared ({ caller }) func remove_operator(operator : Principal) : async Types.CreationResult {
    change(caller, "remove_operator", operator, func() = Roles.removeOperator(roles, operator, Clock.now()));
  };

  /// Operators see each other: whom they may hand a creation on to.
  public shared query ({ caller }) func list_operators() : async Types.Result<[Principal]> {
    switch (Roles.requireStaff(roles, caller)) { case (?error) #Err error; case null #Ok(roles.operators.toArray()) };
  };

  public shared query ({ caller }) func list_audit_log(
    request : Types.NumberedPageRequest
  ) : async Types.Result<Types.AuditPage> {
    switch (Roles.requireStaff(roles, caller)) {
      case (?error) #Err error;
      case null #Ok(AuditLog.page(roles.acts, request));
    };
  };
};
