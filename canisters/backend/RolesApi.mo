/// Endpoints for admins to name and remove admins and operators.
import Set "mo:core/Set";
import Roles "Roles";
import Types "Types";

mixin (roles : Roles.State) {
  public shared ({ caller }) func add_admin(admin : Principal) : async Types.CreationResult {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null Roles.addAdmin(roles, admin) };
  };

  public shared ({ caller }) func remove_admin(admin : Principal) : async Types.CreationResult {
    switch (Roles.requireAdmin(roles, caller)) {
      case (?error) #Err error;
      case null Roles.removeAdmin(roles, caller, admin);
    };
  };

  public shared query ({ caller }) func list_admins() : async Types.Result<[Principal]> {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null #Ok(roles.admins.toArray()) };
  };

  public shared ({ caller }) func add_operator(operator : Principal) : async Types.CreationResult {
    switch (Roles.requireAdmin(roles, caller)) {
      case (?error) #Err error;
      case null Roles.addOperator(roles, operator);
    };
  };

  public shared ({ caller }) func remove_operator(operator : Principal) : async Types.CreationResult {
    switch (Roles.requireAdmin(roles, caller)) {
      case (?error) #Err error;
      case null Roles.removeOperator(roles, operator);
    };
  };

  public shared query ({ caller }) func list_operators() : async Types.Result<[Principal]> {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null #Ok(roles.operators.toArray()) };
  };
};
