/// The personal canister: one capsule, of one owner, that came by an import. The actor wires state, rules and
/// endpoints; the capsule API is the backend's own (`capsule/CapsuleService`), the import is in `Import`.
import Principal "mo:core/Principal";
import Access "../capsule/Access";
import CandidLimits "../capsule/CandidLimits";
import CapsuleApi "../capsule/CapsuleApi";
import CapsuleService "../capsule/CapsuleService";
import Maintenance "../capsule/Maintenance";
import Quotas "../capsule/Quotas";
import Store "../capsule/Store";
import Capsule "../capsule/Types";
import HistoryApi "HistoryApi";
import Import "Import";
import ImportApi "ImportApi";
import ImportState "ImportState";
import Inspection "Inspection";
import Ownership "Ownership";
import OwnershipApi "OwnershipApi";
import Types "Types";

shared ({ caller = installer }) persistent actor class Personal(init : ?Types.PersonalInit) = this {
  // What the first installation was given stays; the argument of an upgrade changes nothing, and can be left out.
  let title = Ownership.title(Ownership.given(init));
  let name = Ownership.given(init).name;
  let store = Store.empty(Quotas.personalLimits);
  let state = ImportState.empty(store, title.owner, installer, Ownership.given(init).limits);

  CandidLimits.setTypeTables<system>(2); // the network may know more kinds of changes one day
  CandidLimits.setValues<system>();

  func self() : Principal { Principal.fromActor(this) };
  transient let maintenance = Maintenance.start<system>(Ownership.isOpen(title, state));
  transient let service = CapsuleService.CapsuleService(store, Ownership.host(title, store, state, maintenance));
  func refusal() : ?Capsule.CapsuleError = Ownership.maintained(title, state, maintenance);
  transient let imports = Import.Import(
    store,
    state,
    {
      owner = func() = title.owner;
      backend = func() = title.backend;
      name;
      self;
      isOpen = func() = Ownership.isOpen(title, state);
      refusal;
    },
  );

  include CapsuleApi(Ownership.withOneCapsule(Maintenance.guarded(service, refusal), title, store, state));
  include ImportApi(imports);
  include OwnershipApi(Ownership.Giving(title, store, state, maintenance));
  include HistoryApi(func caller = caller == title.owner or Access.mayWrite(state.capsule, caller), self);

  func resume<system>() {};
  Maintenance.afterwards<system>(maintenance, resume);

  system func inspect({ caller : Principal; arg : Blob; msg : Inspection.Message }) : Bool {
    Inspection.accepts(title, state, Ownership.isOpen(title, state), store, caller, arg.size(), msg);
  };

  system func postupgrade() { ImportState.certify(state) };
};
