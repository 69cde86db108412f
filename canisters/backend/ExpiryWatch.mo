/// Tells admins of personal canisters whose cycles end soon: once a day the whole registry is gone through, a page a
/// message, and some canisters are looked at in turn, each before anybody is warned of it. What its owner lets the backend see
/// moves the date; what is deleted has none. Owns when that happens. Does not own: what follows from a look (`Sight`), which
/// warning is due (`Expiry`), and how it is kept (`Alerts`).
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Timer "mo:core/Timer";
import Alerts "Alerts";
import Creation "Creation";
import Expiry "Expiry";
import Registry "Registry";
import Sight "Sight";
import Types "Types";

module {
  let daySeconds = 86_400;
  /// An upgrade ends all timers: without a look soon after it, a backend that is upgraded every day would never look.
  let firstSeconds = 60;
  let pageSize : Nat32 = 500;
  /// Notifications of canisters by name in one look, so that other notifications aren't pushed out of their log; the rest
  /// is told as a number.
  let mostByName = 1_000;
  /// Canisters that are looked at in one way through the registry before they are warned of; further ones are judged by the
  /// date that is known. Of all others about as many are looked at each day, in turn.
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
    for (entry in page.items.values()) await* watch(context, entry, turns, look);
    if (page.next == null and look.told > mostByName) {
      Alerts.moreExpire(context.alerts, look.told - mostByName : Nat, context.now());
    };
  };

  func watch(
    context : Creation.Context,
    { canister_id; created_by; status } : Types.PersonalCanisterRecord,
    turns : Nat,
    look : Look,
  ) : async* () {
    let { warned } = context.alerts;
    if (Expiry.unwarned(warned, canister_id, Sight.dateOf(context, canister_id), context.now()) != null) {
      if (look.asked < mostAsked) {
        look.asked += 1;
        await* Sight.look(context, canister_id);
      };
    } else if (status == #Completed and Expiry.isTurn(canister_id, context.now(), turns)) {
      // Nobody waits for it: who pays after a warning has another date the next time, also after the last one.
      ignore Sight.lookApart(context, canister_id);
    };
    switch (Expiry.due(warned, canister_id, Sight.dateOf(context, canister_id), context.now())) {
      case (?due) {
        look.told += 1;
        if (look.told <= mostByName) Alerts.expires(context.alerts, canister_id, created_by, due, context.now());
      };
      case null {};
    };
  };
};
