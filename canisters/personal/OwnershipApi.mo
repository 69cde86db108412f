/// The endpoints by which the canister gets another owner, or another backend, as in `personal.did`, each passing its
/// caller on. Owns no rule and no state.
import Capsule "../capsule/Types";
import Ownership "Ownership";

mixin (giving : Ownership.Giving) {
  public shared ({ caller }) func offer_ownership(to : ?Principal) : async Capsule.UnitResult {
    giving.offer(caller, to);
  };

  public shared ({ caller }) func accept_ownership() : async Capsule.UnitResult { giving.accept(caller) };

  public shared ({ caller }) func remove_owner(person : Principal) : async Capsule.UnitResult {
    giving.remove(caller, person);
  };

  public shared ({ caller }) func change_backend(backend : Principal) : async Capsule.UnitResult {
    giving.changeBackend(caller, backend);
  };
};
