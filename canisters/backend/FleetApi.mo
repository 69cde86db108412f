/// What staff call to know at once how the canisters are that are their owners'. Who has to pay for a look is the backend:
/// how many there may be is in `Sight`.
import List "mo:core/List";
import Nat "mo:core/Nat";
import Creation "Creation";
import Errors "Errors";
import Registry "Registry";
import Roles "Roles";
import Sight "Sight";
import Types "Types";

mixin (context : Creation.Context, roles : Roles.State) {
  /// All are asked at the same time, and each is waited for as long as any other canister (`CanisterOperations`).
  public shared ({ caller }) func look_at_canisters(
    canister_ids : [Principal]
  ) : async Types.Result<[Types.PersonalCanisterRecord]> {
    switch (Roles.requireStaff(roles, caller)) { case null {}; case (?problem) return #Err problem };
    switch (Roles.requireOpen(roles)) { case null {}; case (?problem) return #Err problem };
    if (canister_ids.size() > Sight.mostNamed) {
      return #Err(Errors.invalid("At most " # Nat.toText(Sight.mostNamed) # " canisters are looked at in a message."));
    };
    let looks = List.empty<async ()>();
    for (canisterId in canister_ids.values()) {
      if (Sight.mayLook(context, canisterId)) looks.add(Sight.lookApart(context, canisterId));
    };
    for (look in looks.values()) await look;
    let found = List.empty<Types.PersonalCanisterRecord>();
    for (canisterId in canister_ids.values()) {
      switch (Registry.get(context.registry, canisterId)) { case (?entry) found.add(entry); case null {} };
    };
    #Ok(found.toArray());
  };
};
