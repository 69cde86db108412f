/// Endpoints that decide who gets a personal canister: the rule, its list, and the requests that wait for approval.
import Array "mo:core/Array";
import Principal "mo:core/Principal";
import Admission "Admission";
import AuditLog "AuditLog";
import Creation "Creation";
import CreationEnd "CreationEnd";
import CreationRequest "CreationRequest";
import Creations "Creations";
import Roles "Roles";
import Types "Types";

mixin (context : Creation.Context, roles : Roles.State) {
  func admissionChange(
    caller : Principal,
    method : Text,
    what : () -> Text,
    change : () -> Types.CreationResult,
  ) : Types.CreationResult = Roles.change(roles, caller, { method; what }, context.now(), change);

  /// An admin's answer to a request, which is in the audit log if it took effect.
  func answered(
    caller : Principal,
    method : Text,
    what : () -> Text,
    answer : () -> Types.Result<Creation.Creation>,
  ) : Types.Result<Types.DetailedCreationStatus> {
    switch (Roles.requireAdmin(roles, caller)) { case null {}; case (?problem) return #Err problem };
    switch (Roles.requireOpen(roles)) { case null {}; case (?problem) return #Err problem };
    switch (answer()) {
      case (#Err problem) #Err problem;
      case (#Ok creation) {
        AuditLog.note(roles.acts, caller, { method; what }, context.now());
        #Ok(Creation.detailed(context, creation));
      };
    };
  };

  // ---- The rule and its list ----
  /// What was admitted before goes on, and what waits for approval goes on waiting.
  public shared ({ caller }) func set_admission(admission : Types.Admission) : async Types.CreationResult {
    let change = func() : Types.CreationResult { context.admission.mode := admission; #Ok };
    admissionChange(caller, "set_admission", func() = debug_show admission, change);
  };

  public shared query func get_admission() : async Types.Admission { context.admission.mode };

  public shared ({ caller }) func add_admitted(owner : Principal) : async Types.CreationResult {
    admissionChange(caller, "add_admitted", func() = owner.toText(), func() = Admission.add(context.admission, owner));
  };

  public shared ({ caller }) func remove_admitted(owner : Principal) : async Types.CreationResult {
    admissionChange(caller, "remove_admitted", func() = owner.toText(), func() = Admission.remove(context.admission, owner));
  };

  public shared query ({ caller }) func list_admitted(
    request : Types.OwnerPageRequest
  ) : async Types.Result<Types.AdmittedPage> {
    switch (Roles.requireStaff(roles, caller)) {
      case (?problem) #Err problem;
      case null #Ok(Admission.page(context.admission, request));
    };
  };

  // ---- Requests that wait ----
  public shared query ({ caller }) func list_waiting_requests(
    request : Types.OwnerPageRequest
  ) : async Types.Result<Types.OpenRequestPage> {
    switch (Roles.requireStaff(roles, caller)) { case null {}; case (?problem) return #Err problem };
    let page = Creations.waitingRequests(context.creations, request);
    let now = context.now();
    #Ok({ page with items = page.items.map(func creation = Creation.openRequest(creation, now)) });
  };

  public shared ({ caller }) func approve_creation(owner : Principal) : async Types.Result<Types.DetailedCreationStatus> {
    answered(caller, "approve_creation", func() = owner.toText(), func() = CreationRequest.approve(context, owner));
  };

  public shared ({ caller }) func decline_creation(
    owner : Principal,
    reason : Text,
  ) : async Types.Result<Types.DetailedCreationStatus> {
    let what = func() : Text = owner.toText() # ", " # debug_show reason;
    answered(caller, "decline_creation", what, func() = CreationEnd.decline(context, owner, reason));
  };
};
