/// What admins should know: notifications, the error log, attempts and failures per time. Nothing here decides what is
/// an error or when the reserve is low.
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Dates "../capsule/Dates";
import BoundedLog "BoundedLog";
import Errors "Errors";
import Expiry "Expiry";
import Reserve "Reserve";
import Types "Types";

module {
  public type State = {
    var reserveLevel : Types.AlertLevel;
    /// When the last refusal of a request was kept.
    var refusedAt : Nat64;
    notifications : BoundedLog.Log<Types.Notification>;
    errors : BoundedLog.Log<Types.ErrorLogEntry>;
    /// Times.
    attempts : BoundedLog.Log<Nat64>;
    failures : BoundedLog.Log<Nat64>;
    /// Of canisters whose cycles end soon.
    warned : Expiry.State;
  };

  let refusalIntervalNs : Nat64 = 60_000_000_000;

  /// No notifications, no errors, no attempts.
  public func start() : State {
    {
      var reserveLevel = #Normal;
      var refusedAt = 0;
      notifications = BoundedLog.empty<Types.Notification>();
      errors = BoundedLog.empty<Types.ErrorLogEntry>();
      attempts = BoundedLog.empty<Nat64>();
      failures = BoundedLog.empty<Nat64>();
      warned = Expiry.start();
    };
  };

  /// One notification per change of the level, not one per request that sees it.
  public func watchReserve(state : State, reserve : Types.ReserveStatus, now : Nat64) {
    if (reserve.alert_level == state.reserveLevel) return;
    state.reserveLevel := reserve.alert_level;
    let text = Reserve.recommendation(reserve, 0);
    switch (reserve.alert_level) {
      case (#Normal) {};
      case (#Warning) notify(state, #ReserveWarning, aboutNobody, "The reserve is under its threshold. " # text, now);
      case (#Critical) {
        notify(state, #ReserveCritical, aboutNobody, "The reserve is at half of its threshold or less. " # text, now);
      };
    };
  };

  /// Counts a request that started a creation or a new attempt.
  public func logAttempt(state : State, now : Nat64) { ignore BoundedLog.append<Nat64>(state.attempts, func _ = now) };

  /// Keeps an error that doesn't end its creation.
  public func logError(state : State, owner : Principal, error : Types.CreationError, now : Nat64) {
    ignore BoundedLog.append<Types.ErrorLogEntry>(state.errors, func(id) = { id; at = now; owner = ?owner; error });
  };

  /// Keeps a refusal for want of cycles, which tells admins what the owner isn't told: at most one a minute, so that
  /// requests don't push other errors out of the log.
  public func logRefusal(state : State, owner : Principal, error : Types.CreationError, now : Nat64) {
    if (now < state.refusedAt + refusalIntervalNs) return;
    state.refusedAt := now;
    logError(state, owner, error, now);
  };

  /// Keeps the error that ended a creation, and notifies the admins.
  public func creationFailed(state : State, owner : Principal, error : Types.CreationError, now : Nat64) {
    ignore BoundedLog.append<Nat64>(state.failures, func _ = now);
    logError(state, owner, error, now);
    let stage = switch (error.stage) { case (?stage) " at stage " # Errors.statusText(stage); case null "" };
    notify(
      state,
      #CreationFailed,
      { aboutNobody with subject = ?owner },
      "The personal canister of " # owner.toText() # " failed" # stage # ": " # error.message,
      now,
    );
  };

  /// Tells admins of cycles that a completed canister may have or not.
  public func depositUnknown(state : State, canisterId : Principal, cycles : Nat, reason : Text, now : Nat64) {
    notify(
      state,
      #DepositUnknown,
      { aboutNobody with subject = ?canisterId },
      "It is not known whether " # canisterId.toText() # " got the " # Nat.toText(cycles) # " cycles of its completion ("
      # reason # "); they are booked, and not sent again. Its owner can see its balance.",
      now,
    );
  };

  /// Tells admins of cycles that a completed canister may have got from a later state of this backend than the present one.
  public func depositDoubted(state : State, canisterId : Principal, owner : Principal, cycles : Nat, now : Nat64) {
    notify(
      state,
      #DepositUnknown,
      { aboutNobody with subject = ?canisterId },
      "The personal canister " # canisterId.toText() # " of " # owner.toText() # " may have got the " # Nat.toText(cycles)
      # " cycles of its completion already: this backend was put back to an earlier state since it has been its owner's. They "
      # "are sent when an admin says so (admin pay-rest). Its owner can see its balance.",
      now,
    );
  };

  /// Tells admins that a canister's cycles end soon, as far as is known here.
  public func expires(state : State, canisterId : Principal, owner : Principal, warned : Expiry.Warned, now : Nat64) {
    notify(
      state,
      #CanisterExpires,
      { subject = ?canisterId; until = ?warned.until },
      "The personal canister " # canisterId.toText() # " of " # owner.toText() # " is paid until "
      # Dates.isoText(warned.until) # ": " # Nat.toText(warned.days) # " days are left at most. Its owner can top it up.",
      now,
    );
  };

  /// Tells admins of so many canisters more.
  public func moreExpire(state : State, count : Nat, now : Nat64) {
    let text = Nat.toText(count) # " personal canisters more reach a date of warning; the registry has them all.";
    notify(state, #CanisterExpires, aboutNobody, text, now);
  };

  /// Acknowledging again is a success; the first one who did stays named.
  public func acknowledge(state : State, id : Nat64, admin : Principal) : Types.CreationResult {
    let ?notification = BoundedLog.get(state.notifications, id) else {
      return #Err(Errors.invalid("There is no notification " # Nat64.toText(id) # "."));
    };
    if (notification.acknowledged_by == null) {
      BoundedLog.replace(state.notifications, id, { notification with acknowledged_by = ?admin });
    };
    #Ok;
  };

  /// True when the `count`-th newest attempt lies within the last `windowNs` nanoseconds.
  public func attemptsReach(state : State, count : Nat64, windowNs : Nat64, now : Nat64) : Bool {
    if (state.attempts.nextId <= count) return false;
    switch (BoundedLog.get(state.attempts, state.attempts.nextId - count)) {
      case (?at) at + windowNs > now;
      case null false;
    };
  };

  /// Counts reach back as far as the logs do.
  public func errorRate(state : State, windowNs : Nat64, now : Nat64) : Types.ErrorRate {
    {
      window_ns = windowNs;
      attempts = since(state.attempts, windowNs, now);
      failures = since(state.failures, windowNs, now);
    };
  };

  func since(times : BoundedLog.Log<Nat64>, windowNs : Nat64, now : Nat64) : Nat64 {
    let from = if (now > windowNs) now - windowNs else 0 : Nat64;
    var count : Nat64 = 0;
    for (at in BoundedLog.newestFirst(times)) {
      if (at < from) return count;
      count += 1;
    };
    count;
  };

  /// Whom or which canister a notification is about, and its date, where it has these.
  type About = { subject : ?Principal; until : ?Nat64 };
  let aboutNobody : About = { subject = null; until = null };

  func notify(state : State, kind : Types.NotificationKind, about : About, message : Text, now : Nat64) {
    ignore BoundedLog.append<Types.Notification>(
      state.notifications,
      func(id) = { about with id; at = now; kind; message; acknowledged_by = null },
    );
  };
};
