/// Endpoints for admins to limit what people keep here: quotas and switches. Operators may read them.
import Capsule "../capsule/Types";
import Clock "../capsule/Clock";
import Quotas "../capsule/Quotas";
import CapsulePolicy "CapsulePolicy";
import Roles "Roles";
import Types "Types";

mixin (policy : CapsulePolicy.Context, roles : Roles.State) {
  // ---- Quotas ----
  public shared ({ caller }) func set_quotas(quotas : Types.Quotas) : async Types.CreationResult {
    let act = { method = "set_quotas"; what = func() : Text = debug_show quotas };
    Roles.change(roles, caller, act, Clock.now(), func() = CapsulePolicy.setQuotas(policy, quotas));
  };

  public shared query ({ caller }) func get_quotas() : async Types.Result<Types.QuotaReport> {
    switch (Roles.requireStaff(roles, caller)) { case (?error) #Err error; case null #Ok(CapsulePolicy.report(policy)) };
  };

  public shared query ({ caller }) func get_user_quota(user : Principal) : async Types.Result<Capsule.QuotaStatus> {
    switch (Roles.requireStaff(roles, caller)) {
      case (?error) #Err error;
      case null #Ok(Quotas.status(policy.store.books, user));
    };
  };

  // ---- Switches ----
  public shared ({ caller }) func set_capsule_switches(switches : Types.CapsuleSwitches) : async Types.CreationResult {
    let act = { method = "set_capsule_switches"; what = func() : Text = debug_show switches };
    Roles.change(roles, caller, act, Clock.now(), func() = CapsulePolicy.setSwitches(policy, switches));
  };

  public shared query func get_capsule_switches() : async Types.CapsuleSwitches { policy.switches.present };
};
