/// The history of this canister, for its owner to judge: which code ever ran here, who ever controlled it. The canister asks
/// the management canister, which users can't; the owner needs to believe nobody else. Owns no state.
import Error "mo:core/Error";
import CanisterHistory "../capsule/CanisterHistory";
import Capsule "../capsule/Types";

mixin (isTheirs : Principal -> Bool, self : () -> Principal) {
  public shared ({ caller }) func get_history() : async Capsule.Result<CanisterHistory.History> {
    if (not isTheirs(caller)) return #Err(#Unauthorized "this canister belongs to someone else");
    let management : CanisterHistory.Management = actor "aaaaa-aa";
    let question = { canister_id = self(); num_requested_changes = ?CanisterHistory.mostChanges };
    try #Ok(await (with timeout = CanisterHistory.patience) management.canister_info(question)) catch error #Err(
      #Locked { reason = "the network told no history; try again: " # Error.message(error); until = null }
    );
  };
};
