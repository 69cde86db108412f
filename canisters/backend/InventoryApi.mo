/// Endpoints for those who keep backups of the backend, and for those who meet one that was restored.
import Creations "Creations";
import Inventory "Inventory";
import Lineage "Lineage";
import Registry "Registry";
import Roles "Roles";
import Store "../capsule/Store";
import Types "Types";

mixin (
  store : Store.Store,
  creations : Creations.State,
  registry : Registry.State,
  roles : Roles.State,
  lineage : Lineage.State,
  self : () -> Principal,
) {
  public shared query func get_backend_ids() : async [Principal] { Lineage.all(lineage, self()) };

  public shared query ({ caller }) func get_inventory() : async Types.Result<Types.BackendInventory> {
    switch (Roles.requireStaff(roles, caller)) {
      case (?error) #Err error;
      case null #Ok(Inventory.take(store, creations, registry));
    };
  };
};
