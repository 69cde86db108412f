/// Tells admins of personal canisters whose cycles end soon: once a day the whole registry is gone through, a page a
/// message. Where a canister's owner lets the backend see its status, what it really has moves the date before anybody is
/// warned. Owns when that happens. Does not own: which warning is due (`Expiry`), and how it is kept (`Alerts`).
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
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
  /// Canisters whose status is asked for in one look before they are warned of; further ones are judged by the date that is
  /// known. About as many that were warned of are asked again.
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
    let turns = Nat64.toNat(page.total) / mostAsked + 1;
    for ({ canister_id; created_by } in page.items.values()) await* watch(context, canister_id, created_by, turns, look);
    if (page.next == null and look.told > mostByName) {
      Alerts.moreExpire(context.alerts, look.told - mostByName : Nat, context.now());
    };
  };

  func watch(context : Creation.Context, canisterId : Principal, owner : Principal, turns : Nat, look : Look) : async* () {
    let { warned } = context.alerts;
    let known = dateOf(context, canisterId);
    if (Expiry.unwarned(warned, canisterId, known, context.now()) != null) {
      if (look.asked < mostAsked) {
        look.asked += 1;
        await* learn(context, canisterId, owner, 0);
      };
    } else if (Expiry.isAskedAgain(canisterId, known, context.now(), turns)) {
      // Whoever pays after a warning has another date, also after the last one.
      await* learn(context, canisterId, owner, Expiry.laterThan(known));
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

  /// Moves the date to what follows from what the canister has and burns, where the network tells the backend of it; a date
  /// before `earliest` is none that counts.
  func learn(context : Creation.Context, canisterId : Principal, owner : Principal, earliest : Nat64) : async* () {
    let ?{ has; burnedPerDay } = await* CanisterOperations.status(context.calls, canisterId) else return;
    let until = Funding.paidUntil(has, burnedPerDay, context.hosting.settings.freezing_threshold, context.now());
    switch until { case (?date) if (date < earliest) return; case null {} };
    Registry.setPaidUntil(context.registry, canisterId, until);
    switch (Creations.get(context.creations, owner)) {
      case (?creation) {
        if (creation.canisterId == ?canisterId and creation.status == #Completed) creation.paidUntil := until;
      };
      case null {};
    };
  };
};
