/// The handoff of a verified canister. The operator sends it within a permit; the capsule is sealed until the backend has
/// seen how it ended, since once the owner controls the canister nobody could copy a late write. What lifts the seal is
/// therefore no time but a look at the canister: handed over means completed, by whomever and whatever was put on record
/// meanwhile; else the capsule is writable again. Owns permit, seal and that look.
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Timer "mo:core/Timer";
import Attestation "Attestation";
import CanisterOperations "CanisterOperations";
import Creation "Creation";
import CreationEnd "CreationEnd";
import Creations "Creations";

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

  /// Looks at the canister of a creation whose permit is over, and completes the creation or lifts the seal.
  func settle(
    context : Creation.Context,
    authorities : Attestation.Authorities,
    creation : Creation.Creation,
  ) : async* () {
    let ?canisterId = creation.canisterId else return;
    if (not isDue(context, creation)) return;
    let answer = await* CanisterOperations.info(context.calls, canisterId);
    // A new verification may have been made, or the creation completed, while the management canister answered.
    if (not isDue(context, creation)) return;
    switch answer {
      case (#Info history) switch (Attestation.attest(context, authorities, creation, canisterId, history, #After)) {
        case (#Ok { handedOver = true }) CreationEnd.complete(context, creation);
        case (#Ok _) Creations.unseal(context.creations, creation);
        case (#Err _) {}; // that has ended the creation, and its seal
      };
      case (#Gone) Creations.unseal(context.creations, creation);
      case (#Rejected _) Creations.seal(context.creations, creation, context.now() + pauseNs);
    };
  };

  func isDue(context : Creation.Context, creation : Creation.Creation) : Bool {
    creation.sealedUntil != 0 and creation.sealedUntil <= context.now();
  };
};
