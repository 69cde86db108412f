/// The backend canister: wires the capsules, the creation of personal canisters and their administration to the actor's
/// state. Every rule is in the module of its concern; here is what is kept, and who is refused at the door.
///
/// What is kept is the same in a build without the creation of personal canisters, which leaves its endpoints out only:
/// an upgrade from one build to the other loses nothing, and what has moved to a personal canister stays read-only
/// here.
import Cycles "mo:core/Cycles";
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Timer "mo:core/Timer";
import CandidLimits "../capsule/CandidLimits";
import CapsuleApi "../capsule/CapsuleApi";
import CapsuleService "../capsule/CapsuleService";
import CapsuleTypes "../capsule/Types";
import Clock "../capsule/Clock";
import Contents "../capsule/Contents";
import Heap "../capsule/Heap";
import Maintenance "../capsule/Maintenance";
import Store "../capsule/Store";
import Admission "Admission";
import Alerts "Alerts";
import Attestation "Attestation";
import CanisterOperations "CanisterOperations";
import CapsulePolicy "CapsulePolicy";
import CapsulePolicyApi "CapsulePolicyApi";
import Creation "Creation";
import Creations "Creations";
import Deposits "Deposits";
import Endowment "Endowment";
import Erasures "Erasures";
import Funding "Funding";
import ExpiryWatch "ExpiryWatch";
import Handoff "Handoff";
import Hosting "Hosting";
import Inspection "Inspection";
import InventoryApi "InventoryApi";
import Leases "Leases";
import Lineage "Lineage";
import Loads "Loads";
import CreationPolicy "CreationPolicy";
import Receipts "Receipts";
import Registry "Registry";
import Releases "Releases";
import Reserve "Reserve";
import Roles "Roles";
import Types "Types";
import RolesApi "RolesApi";
// feature personal_canister_creation
import AdminApi "AdminApi";
import AdmissionApi "AdmissionApi";
import CreationApi "CreationApi";
import FleetApi "FleetApi";
import OldSideApi "OldSideApi";
import OperatorApi "OperatorApi";
import OutcomeApi "OutcomeApi";
// end of personal_canister_creation

shared ({ caller = installer }) persistent actor class Backend(init : ?Types.BackendInit) = this {
  CandidLimits.setTypeTables<system>(2); // those of the management canister's replies may grow
  CandidLimits.setValues<system>();
  transient let given : Types.BackendInit = switch init {
    case (?some) some;
    case null ({
      admins = null;
      operators = null;
      reserve = null;
      creation_enabled = null;
      limits = null;
      quotas = null;
      personal_canister_settings = null;
      admission = null;
    });
  };

  let store = Store.empty(CapsulePolicy.startQuotas(given.quotas));
  let capsuleSwitches = CapsulePolicy.start();
  let roles = Roles.start(installer, given.admins, given.operators);
  let creations = Creations.start();
  let admission = Admission.start(given.admission);
  let registry = Registry.start();
  let releases = Releases.start();
  let reserve = Reserve.start(given.reserve);
  let hosting = Hosting.start(given.personal_canister_settings, reserve.settings);
  let deposits = Deposits.start(Reserve.level(reserve, Cycles.balance()));
  let alerts = Alerts.start();
  let lineage = Lineage.start();
  let loads = Loads.start();
  let leases : Leases.Counter = { var next = 1 };
  let switches : Creation.Switch = {
    var enabled = switch (given.creation_enabled) { case (?enabled) enabled; case null true };
    var attempts = 0;
    var successes = 0;
    var failures = 0;
    var undone = 0;
  };
  let receipts = Receipts.start(store.contents);
  let limits : Creation.Limits = { var present = CreationPolicy.startLimits(given.limits) };

  transient let maintenance = Maintenance.start<system>(true);
  roles.closed := maintenance.isOn;
  loads.isKnown := false;

  /// Not kept over an upgrade: the canister can't be upgraded while a call is outstanding.
  transient let calls : CanisterOperations.Calls = { var underWay = 0 };
  func funds() : Reserve.Funds {
    let bytes = Heap.memoryBytes() + Contents.regionBytes(store.contents).toNat() + Funding.emptyCanisterBytes;
    let frozen = Funding.idle(reserve.settings.prices, bytes, hosting.settings.freezing_threshold);
    { balance = Cycles.balance(); frozen };
  };
  transient let policy : CapsulePolicy.Context = { store; switches = capsuleSwitches; reserve; funds };
  transient let context : Creation.Context = {
    store;
    creations;
    roles;
    admission;
    registry;
    releases;
    reserve;
    deposits;
    loads;
    alerts;
    leases;
    switches;
    limits;
    calls;
    provisioning = Set.empty<Principal>();
    looks = { due = Map.empty<Principal, Nat64>(); var timer : ?Timer.TimerId = null };
    asked = { var since : Nat64 = 0; var count = 0 };
    payer = { var timer : ?Timer.TimerId = null };
    eraser = { var timer : ?Timer.TimerId = null };
    receipts;
    asking = Set.empty<Principal>();
    self = func() = Principal.fromActor(this);
    hadAnotherId = func() = Lineage.all(lineage, self()).size() > 1;
    now = Clock.now;
    funds;
    hosting;
  };
  func self() : Principal { Principal.fromActor(this) };
  transient let authorities : Attestation.Authorities = {
    roles;
    backend = self;
    isBackend = func id = Lineage.has(lineage, self(), id);
    enter = func() = Lineage.enter(lineage, roles.acts, self(), Clock.now());
  };
  func refuseWrites() : ?CapsuleTypes.CapsuleError = switch (Maintenance.refusal(maintenance)) {
    case null CapsulePolicy.refuseWrites(policy);
    case refusal refusal;
  };
  transient let service = CapsuleService.CapsuleService(
    store,
    {
      randomness = func() : async* CapsuleTypes.Result<Blob> { await* CanisterOperations.randomness(calls) };
      refuseUser = func _ = refuseWrites();
      refuseAccount = func _ = null;
      refuseNewCapsule = func _ = switch (Maintenance.refusal(maintenance)) {
        case null CapsulePolicy.refuseNewCapsules(policy);
        case refusal refusal;
      };
      isComplete = func() = true;
      ruleTime = func capsule = Creation.ruleTime(context, capsule.id);
      refuseWrite = func(capsule, caller) = switch (Creation.writeBarrier(context, capsule.id, caller)) {
        case null refuseWrites();
        case barrier barrier;
      };
      refuseVeto = func(capsule, caller) = switch (Creation.writeBarrier(context, capsule.id, caller)) {
        case null Maintenance.refusal(maintenance);
        case barrier barrier;
      };
      erased = func capsule = Creation.erased(context, capsule.id);
      refuseGrowth = func() = CapsulePolicy.refuseGrowth(policy);
      changed = func _ {};
      staged = func() = Iter.empty();
      capsules = func() = store.capsules.values();
    },
  );

  include CapsuleApi(Maintenance.guarded(service, func() = Maintenance.refusal(maintenance)));
  include RolesApi(roles);
  include CapsulePolicyApi(policy, roles);
  include InventoryApi(store, creations, registry, roles, lineage, self);
  // feature personal_canister_creation
  include CreationApi(context, roles);
  include AdminApi(context, roles);
  include AdmissionApi(context, roles);
  include OperatorApi(context, authorities);
  include OutcomeApi(context, authorities);
  include OldSideApi(context);
  include FleetApi(context, roles);
  // end of personal_canister_creation

  /// What an upgrade ended, goes on: at once, or when the new module was found sound.
  func resume<system>() {
    authorities.enter();
    roles.closed := false;
    Handoff.resume<system>(context, authorities);
    Endowment.resume<system>(context);
    Erasures.resume<system>(context);
    ExpiryWatch.start<system>(context);
  };
  Maintenance.afterwards<system>(maintenance, resume);

  system func inspect({ caller : Principal; arg : Blob; msg : Inspection.Message }) : Bool {
    Inspection.accepts(roles, store, caller, arg.size(), msg);
  };
};
