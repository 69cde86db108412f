/// Erases what a completed creation left on the backend, because its owner wants so: after a waiting period, and only when
/// the personal canister is there and its owner's. Owns the waiting, the erasing in bounded messages, and the receipt; what
/// stays is the capsule's head, which says where the capsule is.
///
/// Everything is on record: a timer goes on with it, armed again after an upgrade, and a message that fails is repeated.
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Timer "mo:core/Timer";
import Capsules "../capsule/Capsules";
import Emptying "../capsule/Emptying";
import Manifest "../capsule/Manifest";
import Store "../capsule/Store";
import Creation "Creation";
import Creations "Creations";
import Errors "Errors";
import OldSide "OldSide";
import Receipts "Receipts";
import Types "Types";

module {
  /// In which the owner may change their mind, unless they say otherwise; and what they may say.
  public let usualWaitNs : Nat64 = 604_800_000_000_000;
  public let shortestWaitNs : Nat64 = 86_400_000_000_000;
  public let longestWaitNs : Nat64 = 7_776_000_000_000_000;
  /// Until a canister that couldn't be judged is asked about again.
  let pauseNs : Nat64 = 3_600_000_000_000;
  /// Between two messages that erase.
  let breathNs : Nat64 = 1_000_000_000;

  /// Why the period can't be chosen, or null.
  public func checkWait(wait_ns : ?Nat64) : ?Types.CreationError {
    let ?asked = wait_ns else return null;
    if (asked >= shortestWaitNs and asked <= longestWaitNs) return null;
    ?Errors.invalid("wait_ns must be between one day and 90 days.");
  };

  /// Puts the wish on record. The canister was found to be its owner's.
  public func request<system>(context : Creation.Context, creation : Creation.Creation, wait_ns : ?Nat64) {
    let now = context.now();
    let dueAt = now + (switch wait_ns { case (?asked) asked; case null usualWaitNs });
    let erasure : Creations.Erasure = {
      requestedAt = now;
      dueAt;
      var nextAt = dueAt;
      var begun = null;
      var erasedAt = null;
      var message = "";
      var receipt = null;
    };
    creation.erasure := ?erasure;
    creation.moveBackUntil := 0;
    creation.updatedAt := now;
    Creations.setErasure(context.creations, creation, erasure, ?dueAt);
    arm<system>(context);
  };

  /// Takes the wish back, before anything is erased.
  public func cancel(context : Creation.Context, owner : Principal) : Types.Result<Creation.Creation> {
    let creation = switch (OldSide.completed(context, owner)) {
      case (#Ok(some, _)) some;
      case (#Err problem) return #Err problem;
    };
    let ?erasure = creation.erasure else {
      return #Err(Creation.located(creation, Errors.tooEarly("There is nothing to cancel: no erasure was asked for.")));
    };
    if (erasure.begun != null) {
      return #Err(Creation.located(creation, Errors.tooLate("The erasing has begun; it can't be cancelled any more.")));
    };
    Creations.setErasure(context.creations, creation, erasure, null);
    creation.erasure := null;
    creation.updatedAt := context.now();
    #Ok creation;
  };

  /// The owner's receipt, with what certifies it.
  public func receipt(context : Creation.Context, owner : Principal, certificate : ?Blob) : Types.Result<Types.CertifiedReceipt> {
    let (creation, _) = switch (OldSide.completed(context, owner)) {
      case (#Ok some) some;
      case (#Err problem) return #Err problem;
    };
    let ?encoded = (do ? { creation.erasure!.receipt! }) else {
      return #Err(Creation.located(creation, Errors.tooEarly("There is no receipt: nothing is erased yet.")));
    };
    let ?receipt : ?Types.ErasureReceipt = from_candid (encoded) else return #Err(Errors.invalid("The receipt is damaged."));
    #Ok { receipt; encoded; witness = Receipts.witness(context.receipts, owner); certificate };
  };

  // ---- In time ----

  /// To be called after an upgrade, which ends all timers.
  public func resume<system>(context : Creation.Context) {
    Receipts.certify(context.receipts);
    arm<system>(context);
  };

  /// One timer for all, for what is to go on first. It repeats itself until it is set anew, also when a message ends in a trap.
  func arm<system>(context : Creation.Context) {
    switch (context.eraser.timer) { case (?timer) Timer.cancelTimer(timer); case null {} };
    context.eraser.timer := null;
    let ?(at, _) = Creations.nextErasure(context.creations) else return;
    let now = context.now();
    let wait = Nat64.max(breathNs, if (at > now) at - now else 0);
    let goOn = func() : async () {
      await* next(context);
      arm<system>(context);
    };
    context.eraser.timer := ?Timer.recurringTimer<system>(#nanoseconds(Nat64.toNat(wait)), goOn);
  };

  func next(context : Creation.Context) : async* () {
    let ?(at, owner) = Creations.nextErasure(context.creations) else return;
    if (at > context.now()) return;
    let ?creation = Creations.get(context.creations, owner) else return;
    let ?erasure = creation.erasure else return;
    switch (erasure.begun) {
      case null await* begin(context, creation, erasure);
      case (?begun) goOn(context, creation, erasure, begun);
    };
  };

  /// The period is over: nothing can be taken back any more, if the canister is still its owner's.
  func begin(context : Creation.Context, creation : Creation.Creation, erasure : Creations.Erasure) : async* () {
    let ?canisterId = creation.canisterId else return;
    Creations.setErasure(context.creations, creation, erasure, ?(context.now() + pauseNs));
    let standing = await* OldSide.standing(context, creation, canisterId);
    // The owner may have cancelled it while others answered, and asked again.
    let isOn = switch (creation.erasure) { case (?{ requestedAt }) requestedAt == erasure.requestedAt; case null false };
    if (not isOn) return;
    let ?capsule = context.store.capsules.get(creation.capsuleId) else return;
    switch standing {
      case (#Theirs { imported }) {
        erasure.message := "";
        erasure.begun := ?{
          at = context.now();
          memories = Nat64.fromNat(capsule.memories.size());
          contentSize = capsule.content_bytes;
          manifestHash = Manifest.hash(capsule);
          importedHash = imported;
        };
        Creations.setErasure(context.creations, creation, erasure, ?context.now());
      };
      case (#Gone) erasure.message := "The personal canister was deleted: the only copy is here, and isn't erased.";
      case (#Refused error) erasure.message := Creation.shortened(error.message);
    };
  };

  func goOn(
    context : Creation.Context,
    creation : Creation.Creation,
    erasure : Creations.Erasure,
    begun : Creations.Begun,
  ) {
    let ?capsule = context.store.capsules.get(creation.capsuleId) else return;
    let now = context.now();
    if (not Emptying.step(context.store, capsule, creation.owner)) {
      return Creations.setErasure(context.creations, creation, erasure, ?(now + breathNs));
    };
    let ?canister_id = creation.canisterId else return;
    let receipt : Types.ErasureReceipt = {
      backend = context.self();
      owner = creation.owner;
      capsule_id = creation.capsuleId;
      canister_id;
      requested_at = erasure.requestedAt;
      started_at = begun.at;
      erased_at = now;
      memories = begun.memories;
      content_size = begun.contentSize;
      manifest_hash = begun.manifestHash;
      imported_manifest_hash = begun.importedHash;
    };
    let encoded = to_candid (receipt);
    switch (Receipts.add(context.receipts, creation.owner, encoded)) {
      case (#Ok) {
        Capsules.touch(capsule, creation.owner, now);
        erasure.receipt := ?encoded;
        erasure.erasedAt := ?now;
        creation.updatedAt := now;
        Creations.setErasure(context.creations, creation, erasure, null);
      };
      case (#Err _) Creations.setErasure(context.creations, creation, erasure, ?(now + pauseNs)); // no room for it yet
    };
  };
};
