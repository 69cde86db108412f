/// Judges a personal canister by all that was ever changed about it, up to the moment when its owner alone controls it.
/// Pure; what follows from a judgement is in `Attestation`.
///
/// Accepted are the creation by the backend, code deployments of approved modules, and changes of the controllers among the
/// owner and one operator. After a verification no more code is deployed until the owner alone controls the canister; what
/// the owner changes then is their own business. Anything else might have put something into the canister that no
/// comparison of contents shows.
import Array "mo:core/Array";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import CanisterHistory "../capsule/CanisterHistory";
import Dates "../capsule/Dates";
import Verification "Verification";

module {
  type Change = CanisterHistory.Change;

  /// Against what is judged. `isBackend`: also ids that this backend had before it was restored. `wasOperator` is asked for the time of a change (nanoseconds since 1970).
  public type Known = {
    isBackend : Principal -> Bool;
    owner : Principal;
    wasOperator : (Principal, Nat64) -> Bool;
    isApproved : Blob -> Bool;
  };

  /// What was found good: so many changes from the first, and whether the owner is the only controller since.
  public type Attested = { changes : Nat64; handedOver : Bool };

  /// Before or after the verification of the content that there is now; or before another one, while a handoff that was
  /// permitted may be under way: that is one, whatever its owner did since.
  public type Moment = { #Before; #Permitted; #After };

  public type Judgement = {
    #Good : Attested;
    /// Why this can't become an owner's canister any more, in words for people.
    #Refused : Text;
  };

  /// Judges what wasn't judged before. `attested` is what the latest verification that found both sides equal had judged
  /// before it compared them; null where there is none.
  public func judge(
    known : Known,
    history : CanisterHistory.History,
    attested : ?Attested,
    moment : Moment,
  ) : Judgement {
    let total = Nat64.toNat(history.total_num_changes);
    let told = history.recent_changes.size();
    let before : Attested = switch attested { case (?some) some; case null ({ changes = 0; handedOver = false }) };
    if (before.handedOver and moment != #Before) return #Good before;
    let seen = Nat64.toNat(before.changes);
    var isOwners = before.handedOver;
    if (told > total or total < seen or total == 0) return #Refused(
      "the network tells " # Nat.toText(told) # " of " # Nat.toText(total) # " changes of it, and "
      # Nat.toText(seen) # " were there before"
    );
    let first : Nat = total - told; // the number of changes that aren't told
    if (first > seen) return #Refused(
      "the network tells only the last " # Nat.toText(told) # " of its " # Nat.toText(total)
      # " changes, and those before may have been any"
    );
    for (number in Nat.range(seen, total)) {
      let change = history.recent_changes[number - first];
      switch (problemOf(known, change, number, moment)) {
        case (?problem) {
          let place = "change " # Nat.toText(number + 1) # " of " # Nat.toText(total);
          return #Refused(place # ", " # describe(change) # ", " # problem);
        };
        case null {};
      };
      switch (controllersIn(change)) { case (?controllers) isOwners := controllers == [known.owner]; case null {} };
      if (isOwners and moment != #Before) return #Good { changes = Nat64.fromNat(number + 1); handedOver = true };
    };
    #Good { changes = history.total_num_changes; handedOver = isOwners };
  };

  /// Why the change isn't accepted; null when it is. `number` counts from 0.
  func problemOf(known : Known, change : Change, number : Nat, moment : Moment) : ?Text {
    switch (change.details) {
      case (?#creation { controllers }) {
        if (number != 0) return ?"comes after the first change";
        let isOurs = switch (authorOf(change)) { case (?author) known.isBackend(author); case null false };
        if (not isOurs) return ?"isn't by this backend";
        let isOwners = controllers.size() <= 2 and controllers.find(func each = each == known.owner) != null;
        return if isOwners null else ?"isn't for this owner";
      };
      case _ {};
    };
    if (number == 0) return ?"comes before the creation";
    switch (change.details) {
      case (?#code_deployment { module_hash }) {
        if (moment == #After) return ?"comes between the verification and the handoff";
        if (known.isApproved(module_hash)) null else ?"is of no approved release";
      };
      case (?#controllers_change { controllers }) problemOfControllers(known, controllers, change.timestamp_nanos);
      case (?#settings_change { controllers = ?controllers }) {
        problemOfControllers(known, controllers, change.timestamp_nanos);
      };
      case (?#settings_change _) null; // the environment only: what upgrades read of it goes before the handoff, and verify tells it
      case _ ?"is nothing that a creation does";
    };
  };

  func problemOfControllers(known : Known, controllers : [Principal], at : Nat64) : ?Text {
    if (controllers == []) return ?"leaves it without a controller";
    let others = controllers.filter(func each = each != known.owner);
    for (other in others.values()) {
      if (not known.wasOperator(other, at)) return ?("lets " # other.toText() # " control it, which is no operator");
    };
    if (others.size() > 1) ?"lets more than one operator control it" else null;
  };

  func controllersIn(change : Change) : ?[Principal] {
    switch (change.details) {
      case (?#controllers_change { controllers } or ?#settings_change { controllers = ?controllers }) ?controllers;
      case _ null;
    };
  };

  /// When the owner became the only controller for the first time, in nanoseconds since 1970; 0 where that isn't told.
  public func ownedSince(history : CanisterHistory.History, owner : Principal) : Nat64 {
    if (Nat64.fromNat(history.recent_changes.size()) != history.total_num_changes) return 0;
    for (change in history.recent_changes.values()) {
      if (controllersIn(change) == ?[owner]) return change.timestamp_nanos;
    };
    0;
  };

  func authorOf(change : Change) : ?Principal {
    switch (change.origin) {
      case (?#from_user { user_id }) ?user_id;
      case (?#from_canister { canister_id }) ?canister_id;
      case null null;
    };
  };

  /// What was done, by whom and when, such as "code_uninstall by aaaaa-aa at 2026-01-31T09:05:00Z".
  public func describe(change : Change) : Text {
    let what = switch (change.details) {
      case (?#creation _) "creation";
      case (?#code_deployment { mode; module_hash }) {
        let how = switch mode { case (#install) "install"; case (#reinstall) "reinstall"; case (#upgrade) "upgrade" };
        "code_deployment (" # how # " of the module " # Verification.hex(module_hash) # ")";
      };
      case (?#code_uninstall) "code_uninstall";
      case (?#controllers_change _) "controllers_change";
      case (?#settings_change _) "settings_change";
      case (?#load_snapshot _) "load_snapshot";
      case (?#rename_canister _) "rename_canister";
      case null "an unknown kind of change";
    };
    let author = switch (authorOf(change)) { case (?principal) principal.toText(); case null "an unknown author" };
    what # " by " # author # " at " # Dates.isoText(change.timestamp_nanos);
  };
};
