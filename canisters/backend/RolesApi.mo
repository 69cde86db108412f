/// Endpoints for admins to name and remove admins and operators.

import Principal "mo:core/Principal";
import Set "mo:core/Set";

import Roles "Roles";
import T "BackendTypes";

mixin (roles : Roles.State) {
  public shared ({ caller }) func add_admin(admin : Principal) : async T.CreationResult {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null Roles.addAdmin(roles, admin) };
  };

  public shared ({ caller }) func remove_admin(admin : Principal) : async T.CreationResult {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null Roles.removeAdmin(roles, caller, admin) };
  };

  public shared query ({ caller }) func list_admins() : async T.Result<[Principal]> {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null #Ok(Set.toArray(roles.admins)) };
  };

  public shared ({ caller }) func add_operator(operator : Principal) : async T.CreationResult {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null Roles.addOperator(roles, operator) };
  };

  public shared ({ caller }) func remove_operator(operator : Principal) : async T.CreationResult {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null Roles.removeOperator(roles, operator) };
  };

  public shared query ({ caller }) func list_operators() : async T.Result<[Principal]> {
    switch (Roles.requireAdmin(roles, caller)) { case (?error) #Err error; case null #Ok(Set.toArray(roles.operators)) };
  };
};
