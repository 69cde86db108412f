/// Tells admins of personal canisters whose cycles end soon: once a day the whole registry is gone through, a page a
/// message. Owns when that happens. Does not own: which warning is due (`Expiry`), and how it is kept (`Alerts`).
import Nat32 "mo:core/Nat32";
import Principal "mo:core/Principal";
import Timer "mo:core/Timer";
import Alerts "Alerts";
import Creation "Creation";
import Expiry "Expiry";
import Registry "Registry";

module {
  let daySeconds = 86_400;
  /// An upgrade ends all timers: without a look soon after it, a backend that is upgraded every day would never look.
  let firstSeconds = 60;
  let pageSize : Nat32 = 500;
  /// Notifications of canisters by name in one look, so that other notifications aren't pushed out of their log; the rest
  /// is told as a number.
  let mostByName = 1_000;

  /// To be called at the installation and after each upgrade.
  public func start<system>(context : Creation.Context) {
    let look = func() : async () { lookAt<system>(context, null, 0) };
    ignore Timer.setTimer<system>(#seconds firstSeconds, look);
    ignore Timer.recurringTimer<system>(#seconds daySeconds, look);
  };

  /// A page of the registry, and then the next one in a message of its own. `told`: how many warnings there were so far.
  func lookAt<system>(context : Creation.Context, after : ?Principal, told : Nat) {
    let now = context.now();
    let page = Registry.page(context.registry, { after; limit = ?pageSize });
    var count = told;
    for (entry in page.items.values()) {
      let paidUntil = if (entry.status == #Completed) entry.paid_until else null;
      switch (Expiry.due(context.alerts.warned, entry.canister_id, paidUntil, now)) {
        case (?warned) {
          count += 1;
          if (count <= mostByName) Alerts.expires(context.alerts, entry.canister_id, entry.created_by, warned, now);
        };
        case null {};
      };
    };
    switch (page.next) {
      case null if (count > mostByName) Alerts.moreExpire(context.alerts, count - mostByName : Nat, now);
      case next {
        ignore Timer.setTimer<system>(#seconds 0, func() : async () { lookAt<system>(context, next, count) });
      };
    };
  };
};
