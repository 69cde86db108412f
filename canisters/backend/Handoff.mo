/// The handoff of a verified canister. The operator sends it within a permit; the capsule is sealed until the backend has
/// seen how it ended, since once the owner controls the canister nobody could copy a late write. What lifts the seal is
/// therefore no time but a look at the canister: handed over means completed, by whomever and whatever was put on record
/// meanwhile; else the capsule is writable again. Owns permit, seal and that look.
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Timer "mo:core/Timer";
import Manifest "../capsule/Manifest";
import Store "../capsule/Store";
import Attestation "Attestation";
import CanisterOperations "CanisterOperations";
import Creation "Creation";
import CreationEnd "CreationEnd";
import Creations "Creations";
import Errors "Errors";
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

  /// Seals the capsule for a handoff; returns when its permit ends, in nanoseconds since 1970.
  public func permit<system>(
    context : Creation.Context,
    authorities : Attestation.Authorities,
    creation : Creation.Creation,
  ) : Nat64 {
    let until = context.now() + permitNs;
    Creations.seal(context.creations, creation, until + graceNs);
    arm<system>(context, authorities, creation);
    until;
  };

  /// Looks after every sealed creation; to be called after an upgrade, which ends all timers.
  public func resume<system>(context : Creation.Context, authorities : Attestation.Authorities) {
    for (creation in Creations.sealed(context.creations)) arm<system>(context, authorities, creation);
  };

  func arm<system>(context : Creation.Context, authorities : Attestation.Authorities, creation : Creation.Creation) {
    let now = context.now();
    let wait = if (creation.sealedUntil > now) creation.sealedUntil - now else 0 : Nat64;
    ignore Timer.setTimer<system>(
      #nanoseconds(Nat64.toNat(wait)),
      func() : async () {
        await* settle(context, authorities, creation);
        if (creation.sealedUntil != 0 and creation.sealedUntil <= context.now() + pauseNs) {
          arm<system>(context, authorities, creation);
        };
      },
    );
  };

  /// How the handoff of a canister ended. `Refused`: the creation has ended with that error, and the canister is lost.
  public type Outcome = { #HandedOver; #NotHandedOver : Text; #Refused : Types.CreationError; #Unknown : Text };

  /// Asks the network who controls the canister and what was done to it, and then the canister, if its module is still an
  /// approved one, whether it has what was verified: an operator could have brought something else after that. What the
  /// owner has deployed since is the owner's, and isn't asked.
  public func outcome(
    context : Creation.Context,
    authorities : Attestation.Authorities,
    creation : Creation.Creation,
    canisterId : Principal,
  ) : async* Outcome {
    let history = switch (await* CanisterOperations.info(context.calls, canisterId)) {
      case (#Info some) some;
      case (#Gone) return #NotHandedOver "The canister was deleted.";
      case (#Rejected reason) return #Unknown("The management canister gave no information on the canister: " # reason);
    };
    if (not isUnsettled(creation, canisterId)) return #Unknown settled;
    switch (Attestation.attest(context, authorities, creation, canisterId, history, #After)) {
      case (#Err error) return #Refused error;
      case (#Ok { handedOver = false }) {
        return #NotHandedOver(Verification.notHandedOver(history.controllers, creation.owner));
      };
      case (#Ok _) {};
    };
    if (Attestation.notReleased(context, history.module_hash) != null) return #HandedOver;
    let imported = switch (await* CanisterOperations.manifest(context.calls, canisterId)) {
      case (#Manifest { imported }) imported;
      case (#Rejected reason) return #Unknown("The personal canister gave no manifest: " # reason);
    };
    if (not isUnsettled(creation, canisterId)) return #Unknown settled;
    let ?capsule = Store.selfCapsule(context.store, creation.owner) else return #Unknown "The capsule is gone.";
    let has = switch imported { case (?{ manifest_hash }) ?manifest_hash; case null null };
    if (has == ?Manifest.hash(capsule)) return #HandedOver;
    let error = Creation.located(creation, Errors.make(#VerifyFailed, changed canisterId, true));
    CreationEnd.lose(context, creation, canisterId, error);
    #Refused error;
  };

  let settled = "The creation was settled meanwhile.";

  func changed(canisterId : Principal) : Text {
    "The canister " # canisterId.toText() # " was changed between its verification and its handoff. The capsule is here "
    # "as it was; a retry by the owner takes a new canister.";
  };

  func isUnsettled(creation : Creation.Creation, canisterId : Principal) : Bool {
    creation.status != #Completed and creation.canisterId == ?canisterId;
  };

  /// Looks at the canister of a creation whose permit is over, and completes the creation or lifts the seal.
  func settle(
    context : Creation.Context,
    authorities : Attestation.Authorities,
    creation : Creation.Creation,
  ) : async* () {
    let ?canisterId = creation.canisterId else return;
    if (not isDue(context, creation)) return;
    let answer = await* outcome(context, authorities, creation, canisterId);
    // A new verification may have been made, or the creation completed, while others answered.
    if (not isDue(context, creation)) return;
    switch answer {
      case (#HandedOver) {
        if (Creation.isVerified(context, creation)) CreationEnd.complete(context, creation)
        else Creations.unseal(context.creations, creation);
      };
      case (#NotHandedOver _) Creations.unseal(context.creations, creation);
      case (#Refused _) {}; // that has ended the creation, and its seal
      case (#Unknown _) Creations.seal(context.creations, creation, context.now() + pauseNs);
    };
  };

  func isDue(context : Creation.Context, creation : Creation.Creation) : Bool {
    creation.sealedUntil != 0 and creation.sealedUntil <= context.now();
  };
};
