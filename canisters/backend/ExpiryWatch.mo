/// Tells admins of personal canisters whose cycles end soon: once a day the whole registry is gone through, a page a
/// message. Where a canister's owner lets the backend see its status, what it really has moves the date before anybody is
/// warned. Owns when that happens. Does not own: which warning is due (`Expiry`), and how it is kept (`Alerts`).
import Nat32 "mo:core/Nat32";
import Principal "mo:core/Principal";
import Timer "mo:core/Timer";
import Alerts "Alerts";
import CanisterOperations "CanisterOperations";
import Creation "Creation";
import Creations "Creations";
import Expiry "Expiry";
import Funding "Funding";
import Registry "Registry";

module {
  let daySeconds = 86_400;
  /// An upgrade ends all timers: without a look soon after it, a backend that is upgraded every day would never look.
  let firstSeconds = 60;
  let pageSize : Nat32 = 500;
  /// Notifications of canisters by name in one look, so that other notifications aren't pushed out of their log; the rest
  /// is told as a number.
  let mostByName = 1_000;
  /// Canisters whose status is asked for in one look; further ones are judged by the date that is known.
  let mostAsked = 100;

  /// One way through the registry.
  type Look = { var told : Nat; var asked : Nat };

  /// To be called at the installation and after each upgrade.
  public func start<system>(context : Creation.Context) {
    let look = func() : async () { await* lookAt<system>(context, null, { var told = 0; var asked = 0 }) };
    ignore Timer.setTimer<system>(#seconds firstSeconds, look);
    ignore Timer.recurringTimer<system>(#seconds daySeconds, look);
  };

  /// A page of the registry. The next one is looked at in a message of its own, whatever becomes of this one.
  func lookAt<system>(context : Creation.Context, after : ?Principal, look : Look) : async* () {
    let page = Registry.page(context.registry, { after; limit = ?pageSize });
    if (page.next != null) {
      ignore Timer.setTimer<system>(#seconds 1, func() : async () { await* lookAt<system>(context, page.next, look) });
    };
    for ({ canister_id; created_by } in page.items.values()) await* watch(context, canister_id, created_by, look);
    if (page.next == null and look.told > mostByName) {
      Alerts.moreExpire(context.alerts, look.told - mostByName : Nat, context.now());
    };
  };

  func watch(context : Creation.Context, canisterId : Principal, owner : Principal, look : Look) : async* () {
    let { warned } = context.alerts;
    let isNew = Expiry.unwarned(warned, canisterId, dateOf(context, canisterId), context.now()) != null;
    if (isNew and look.asked < mostAsked) {
      look.asked += 1;
      await* learn(context, canisterId, owner);
    };
    switch (Expiry.due(warned, canisterId, dateOf(context, canisterId), context.now())) {
      case (?due) {
        look.told += 1;
        if (look.told <= mostByName) Alerts.expires(context.alerts, canisterId, owner, due, context.now());
      };
      case null {};
    };
  };

  /// Of a canister that is its owner's.
  func dateOf(context : Creation.Context, canisterId : Principal) : ?Nat64 {
    let ?entry = Registry.get(context.registry, canisterId) else return null;
    if (entry.status == #Completed) entry.paid_until else null;
  };

  /// Moves the date to what follows from what the canister has and burns, where the network tells the backend of it.
  func learn(context : Creation.Context, canisterId : Principal, owner : Principal) : async* () {
    let ?{ has; burnedPerDay } = await* CanisterOperations.status(context.calls, canisterId) else return;
    let until = Funding.paidUntil(has, burnedPerDay, context.hosting.settings.freezing_threshold, context.now());
    Registry.setPaidUntil(context.registry, canisterId, until);
    switch (Creations.get(context.creations, owner)) {
      case (?creation) {
        if (creation.canisterId == ?canisterId and creation.status == #Completed) creation.paidUntil := until;
      };
      case null {};
    };
  };
};
