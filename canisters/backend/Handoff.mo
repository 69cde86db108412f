/// The handoff of a verified canister. The operator sends it within a permit; the capsule is sealed until the backend has
/// seen how it ended, since once the owner controls the canister nobody could copy a late write. What lifts the seal is
/// therefore no time but a look at the canister: handed over means completed, by whomever and whatever was put on record
/// meanwhile; else the capsule is writable again. Owns permit, seal and that look.
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Timer "mo:core/Timer";
import Manifest "../capsule/Manifest";
import Store "../capsule/Store";
import Attestation "Attestation";
import CanisterOperations "CanisterOperations";
import Creation "Creation";
import CreationEnd "CreationEnd";
import Creations "Creations";
import Endowment "Endowment";
import Errors "Errors";
import History "History";
import Types "Types";
import Verification "Verification";

module {
  /// How long after a verification the handoff may be executed: its ingress expiry has to be within.
  public let permitNs : Nat64 = 120_000_000_000;
  /// How much longer than its permit the seal lasts at least: clocks of the two subnets may differ, and a message's
  /// execution may end some rounds after its start.
  public let graceNs : Nat64 = 60_000_000_000;
  /// Until the next look at a canister that the management canister said nothing of.
  public let pauseNs : Nat64 = 60_000_000_000;
  /// How often it is seen which looks are due. What a timer sets off is a message of the canister to itself, and one that
  /// finds it stopping is lost; so a timer that comes again carries them all, and each look has a time, not a timer.
  let tickNs = 20_000_000_000;
  /// After so long a look that hasn't ended was lost, and there is another one: a canister's answer may cause a trap.
  let lostNs : Nat64 = 300_000_000_000;

  /// Seals the capsule for a handoff; returns when its permit ends, in nanoseconds since 1970. A look that is due earlier,
  /// after another verification, isn't put off: nobody can keep the creation from being settled by verifying again.
  public func permit<system>(
    context : Creation.Context,
    authorities : Attestation.Authorities,
    creation : Creation.Creation,
  ) : Nat64 {
    let until = context.now() + permitNs;
    Creations.seal(context.creations, creation, until + graceNs);
    if (not context.looks.due.containsKey(creation.owner)) context.looks.due.add(creation.owner, creation.sealedUntil);
    watch<system>(context, authorities);
    until;
  };

  /// Looks after every sealed creation; to be called after an upgrade, which ends all timers.
  public func resume<system>(context : Creation.Context, authorities : Attestation.Authorities) {
    for (creation in Creations.sealed(context.creations)) {
      context.looks.due.add(creation.owner, creation.sealedUntil);
      watch<system>(context, authorities);
    };
    // What is due already needn't wait for the first tick, which comes after this, should this one be lost.
    ignore Timer.setTimer<system>(#nanoseconds 0, func() : async () { await* lookAtDue<system>(context, authorities) });
  };

  /// One timer for all, as long as there is anything to look at.
  func watch<system>(context : Creation.Context, authorities : Attestation.Authorities) {
    if (context.looks.timer != null) return;
    let lookAtAll = func() : async () {
      await* lookAtDue<system>(context, authorities);
      if (not context.looks.due.isEmpty()) return;
      switch (context.looks.timer) { case (?timer) Timer.cancelTimer(timer); case null {} };
      context.looks.timer := null;
    };
    context.looks.timer := ?Timer.recurringTimer<system>(#nanoseconds tickNs, lookAtAll);
  };

  func lookAtDue<system>(context : Creation.Context, authorities : Attestation.Authorities) : async* () {
    let now = context.now();
    for ((owner, at) in context.looks.due.toArray().values()) {
      if (at <= now) {
        context.looks.due.add(owner, now + lostNs);
        ignore look<system>(context, authorities, owner);
      };
    };
  };

  /// A message of its own, so that no canister holds up the look at another.
  func look<system>(context : Creation.Context, authorities : Attestation.Authorities, owner : Principal) : async () {
    switch (Creations.get(context.creations, owner)) {
      case (?creation) await* settle<system>(context, authorities, creation);
      case null {};
    };
    // What is on record by now; it may be another creation of the owner's.
    switch (Creations.get(context.creations, owner)) {
      case (?present) if (Creation.isSealed(present)) return context.looks.due.add(owner, present.sealedUntil);
      case null {};
    };
    context.looks.due.remove(owner);
  };

  /// How the handoff of a canister ended. `HandedOver`: since when its owner alone controls it. `Refused`: the creation has ended with that error, and the canister is lost.
  /// `Gone`: it was deleted.
  public type Outcome = { #HandedOver : Nat64; #NotHandedOver : Text; #Gone; #Refused : Types.CreationError; #Unknown : Text };

  /// Asks the network who controls the canister and what was done to it, and then the canister, if its module is the
  /// verified one or another approved one, whether it has what was verified: an operator could have brought something
  /// else after that. Any other module the owner has deployed since; it's the owner's, and isn't asked.
  public func outcome(
    context : Creation.Context,
    authorities : Attestation.Authorities,
    creation : Creation.Creation,
    canisterId : Principal,
  ) : async* Outcome {
    let history = switch (await* CanisterOperations.info(context.calls, canisterId)) {
      case (#Info some) some;
      case (#Gone) return #Gone;
      case (#Rejected reason) return #Unknown(Attestation.notTold reason);
    };
    if (not isUnsettled(creation, canisterId)) return #Unknown settled;
    switch (Attestation.attest(context, authorities, creation, canisterId, history, #After)) {
      case (#Err error) return #Refused error;
      case (#Ok { handedOver = false }) {
        return #NotHandedOver(Verification.notHandedOver(history.controllers, creation.owner));
      };
      case (#Ok _) {};
    };
    let since = History.ownedSince(history, creation.owner);
    let isOwners = history.module_hash != creation.verifiedModule;
    if (isOwners and Attestation.notReleased(context, history.module_hash) != null) return #HandedOver since;
    let imported = switch (await* CanisterOperations.manifest(context.calls, canisterId)) {
      case (#Manifest { imported }) imported;
      case (#Rejected reason) return #Unknown(silent(context, reason));
    };
    // Of a capsule that has changed since nothing can be said; it isn't sealed then.
    if (not isUnsettled(creation, canisterId) or not Creation.isVerified(context, creation)) return #Unknown settled;
    let ?capsule = Store.selfCapsule(context.store, creation.owner) else return #Unknown "The capsule is gone.";
    let has = switch imported { case (?{ manifest_hash }) ?manifest_hash; case null null };
    if (has == ?Manifest.hash(capsule)) return #HandedOver since;
    let error = Creation.located(creation, Errors.make(#VerifyFailed, changed canisterId, Attestation.isReplaced(creation)));
    CreationEnd.lose(context, creation, canisterId, error);
    #Refused error;
  };

  let settled = "The creation was settled meanwhile, or the capsule changed.";

  func silent(context : Creation.Context, reason : Text) : Text {
    "The canister is its owner's, but gives no manifest, so that nobody can tell whether it has what was verified. The "
    # "owner has to start it, to give it cycles, or to let canisters call it. "
    # "Its answer: " # reason # Attestation.ofFormer(context);
  };

  func changed(canisterId : Principal) : Text {
    "The canister " # canisterId.toText() # " was changed between its verification and its handoff. The capsule is here "
    # "as it was; a retry by the owner takes a new canister.";
  };

  func isUnsettled(creation : Creation.Creation, canisterId : Principal) : Bool {
    creation.status != #Completed and creation.canisterId == ?canisterId;
  };

  /// Looks at the canister of a sealed creation, and completes the creation; or lifts the seal, if its time is over.
  func settle<system>(
    context : Creation.Context,
    authorities : Attestation.Authorities,
    creation : Creation.Creation,
  ) : async* () {
    let ?canisterId = creation.canisterId else return;
    if (not Creation.isSealed(creation)) return;
    let answer = await* outcome(context, authorities, creation, canisterId);
    // It may have been settled otherwise, or verified again, while others answered.
    if (not Creation.isSealed(creation) or creation.canisterId != ?canisterId) return;
    let isOver = creation.sealedUntil <= context.now();
    switch answer {
      case (#HandedOver since) {
        CreationEnd.complete(context, creation, since);
        await* Endowment.pay<system>(context, creation);
      };
      case (#NotHandedOver _ or #Gone) if isOver Creations.unseal(context.creations, creation);
      case (#Refused _) {}; // that has ended the creation, and its seal
      case (#Unknown message) {
        creation.progressMessage := Creation.shortened(message);
        if isOver Creations.seal(context.creations, creation, context.now() + pauseNs);
      };
    };
  };
};
