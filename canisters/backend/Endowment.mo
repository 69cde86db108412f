/// The second part of a creation's cycles: what its canister lives on. The first part creates the canister and pays for the
/// import; this one follows when the creation is completed, so that a canister that is lost takes less along. It is held
/// from the request on. Owns when it is paid, how it is booked, and what follows from each outcome.
///
/// A backend whose state was put back to an earlier one doesn't know what it has paid since. Of a canister that was its owner's by
/// then it pays what it sees to be lacking, where the owner lets it see that; else an admin decides.
///
/// What is paid is on record before the call. After a certain reject the cycles are back, and it is tried again. Nobody
/// repeats what nobody knows the outcome of: admins are told of it.
import Int "mo:core/Int";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Timer "mo:core/Timer";
import Alerts "Alerts";
import CanisterOperations "CanisterOperations";
import Creation "Creation";
import Creations "Creations";
import Errors "Errors";
import Funding "Funding";
import Loads "Loads";
import Registry "Registry";
import Reserve "Reserve";
import Types "Types";

module {
  /// Until what couldn't be paid is tried again.
  let pauseNs = 60_000_000_000;

  /// What the network told of the creation's canister, by which the rest is corrected and dated.
  public func note(
    context : Creation.Context,
    creation : Creation.Creation,
    canisterId : Principal,
    { has; burnedPerDay } : { has : Nat; burnedPerDay : Nat },
  ) {
    if (creation.canisterId != ?canisterId or creation.status == #Completed) return;
    creation.seen := ?{ canisterId; at = context.now(); balance = has; burnedPerDay };
  };

  func seen(creation : Creation.Creation) : ?Types.Seen {
    let ?seen = creation.seen else return null;
    if (creation.canisterId == ?seen.canisterId) ?seen else null;
  };

  /// What the canister lacks of its life by what it was seen to have and to burn; never more than is held for it.
  func correct(context : Creation.Context, creation : Creation.Creation) {
    let ?{ at; balance; burnedPerDay } = seen(creation) else return;
    let wanted = Funding.life(context.reserve.settings, context.hosting.settings, burnedPerDay);
    let burned = Funding.burned(burnedPerDay, at, context.now());
    let lacking = Int.toNat(Int.max(0, wanted + burned - balance : Int));
    creation.rest := Nat.min(creation.rest, lacking);
  };

  /// The creation is completed: its canister is owed the rest, which is held until it is paid.
  public func owe(context : Creation.Context, creation : Creation.Creation) {
    if (creation.payment == #None) correct(context, creation);
    date(context, creation);
    if (creation.rest == 0 or creation.payment != #None) return Creation.hold(context, creation, 0);
    creation.payment := #Owed;
    context.creations.owed.add(creation.owner);
    Creation.hold(context, creation, creation.rest);
  };

  /// Pays what the creation's canister is owed; or tries it again a minute later, also while all that uses cycles is stopped.
  public func pay<system>(context : Creation.Context, creation : Creation.Creation) : async* () {
    let ?canisterId = creation.canisterId else return;
    if (creation.payment != #Owed) return;
    if (not context.loads.isKnown) await* learnLoads(context);
    if (not context.loads.isKnown) return arm<system>(context);
    if (Loads.isBefore(context.loads, creation.ownedSince) and not (await* look(context, creation, canisterId))) {
      return arm<system>(context);
    };
    if (creation.payment != #Owed) return;
    let amount = creation.rest;
    if (amount == 0) {
      Creation.hold(context, creation, 0);
      return settled(context, creation, #Paid);
    };
    let isPoor = Reserve.preflight(context.reserve, context.funds(), amount, creation.cyclesHeld) != null;
    if (isPoor or Creation.stopped(context) != null) return arm<system>(context);
    creation.payment := #Sent;
    Creation.hold(context, creation, 0);
    let at = context.now();
    Reserve.debitMore(context.reserve, creation.entry, amount, at);
    Registry.charge(context.registry, canisterId, amount);
    try {
      switch (await* CanisterOperations.deposit(context.calls, canisterId, amount)) {
        case (#Deposited) settled(context, creation, #Paid);
        case (#Unknown reason) unknown(context, creation, canisterId, reason);
        case (#Rejected { isGone }) {
          Reserve.undoMore(context.reserve, creation.entry, amount, at);
          Registry.charge(context.registry, canisterId, -amount);
          // A canister that its owner has deleted gets nothing.
          if isGone {
            creation.rest := 0;
            settled(context, creation, #Paid);
            Creation.deleted(context, canisterId);
          } else {
            creation.payment := #Owed;
            Creation.hold(context, creation, amount);
            arm<system>(context);
          };
        };
      };
    } finally if (creation.payment == #Sent) unknown(context, creation, canisterId, "the answer could not be taken");
  };

  /// What the canister lacks, as it is now; where the backend may not see it, it is left to the admins. False when nobody
  /// answered: then it's looked at later.
  func look(context : Creation.Context, creation : Creation.Creation, canisterId : Principal) : async* Bool {
    let told = await* CanisterOperations.status(context.calls, canisterId);
    if (creation.payment != #Owed) return true;
    switch told {
      case (#Shown told) {
        see(context, creation, canisterId, told);
        Creation.hold(context, creation, creation.rest);
      };
      case (#Hidden) {
        Creation.hold(context, creation, 0);
        settled(context, creation, #Doubted);
        Alerts.depositDoubted(context.alerts, canisterId, creation.owner, creation.rest, context.now());
      };
      case (#Gone) {}; // the deposit finds that, too
      case (#Unknown) return false;
    };
    true;
  };

  func see(
    context : Creation.Context,
    creation : Creation.Creation,
    canisterId : Principal,
    { has; burnedPerDay } : { has : Nat; burnedPerDay : Nat },
  ) {
    creation.seen := ?{ canisterId; at = context.now(); balance = has; burnedPerDay };
    correct(context, creation);
  };

  /// Before an admin's word about what is in doubt: the owner may let the backend see the canister by now.
  public func lookAgain(context : Creation.Context, owner : Principal) : async* () {
    let ?creation = Creations.get(context.creations, owner) else return;
    let ?canisterId = creation.canisterId else return;
    if (creation.payment != #Doubted) return;
    switch (await* CanisterOperations.status(context.calls, canisterId)) {
      case (#Shown told) if (creation.payment == #Doubted) see(context, creation, canisterId, told);
      case _ {};
    };
  };

  /// At an admin's word, who knows that the canister hasn't got the rest: it is owed again.
  public func release(context : Creation.Context, owner : Principal) : Types.CreationResult {
    let ?creation = Creations.get(context.creations, owner) else {
      return #Err(Errors.invalid(owner.toText() # " has no creation."));
    };
    if (creation.payment != #Doubted or creation.status != #Completed) {
      return #Err(Creation.refused(creation, "Nothing of it waits for an admin's word."));
    };
    switch (Reserve.preflight(context.reserve, context.funds(), creation.rest, 0)) {
      case (?problem) return #Err(Creation.located(creation, problem));
      case null {};
    };
    creation.ownedSince := context.now(); // what was before is judged
    creation.payment := #Owed;
    context.creations.owed.add(owner);
    Creation.hold(context, creation, creation.rest);
    #Ok;
  };

  /// Learns whether the present state is an earlier one that was loaded.
  func learnLoads(context : Creation.Context) : async* () {
    switch (await* CanisterOperations.info(context.calls, context.self())) {
      case (#Info history) Loads.learn(context.loads, history);
      case _ {}; // asked again before anything is paid
    };
  };

  /// To be called after an upgrade, which ends all timers. An outcome that wasn't on record before it is unknown.
  public func resume<system>(context : Creation.Context) {
    ignore Timer.setTimer<system>(#nanoseconds 0, func() : async () { await* learnLoads(context) });
    for (creation in Creations.owed(context.creations)) {
      switch (creation.payment, creation.canisterId) {
        case (#Sent, ?canisterId) unknown(context, creation, canisterId, "the backend was upgraded before it was on record");
        case _ arm<system>(context);
      };
    };
  };

  /// One timer for all; it goes on, whatever becomes of one payment, until nobody is owed anything.
  func arm<system>(context : Creation.Context) {
    if (context.payer.timer != null) return;
    let payAll = func() : async () {
      await* learnLoads(context);
      if (not context.loads.isKnown) return; // nor would each of them learn more
      for (creation in Creations.owed(context.creations)) await* pay<system>(context, creation);
      if (not context.creations.owed.isEmpty()) return;
      switch (context.payer.timer) { case (?timer) Timer.cancelTimer(timer); case null {} };
      context.payer.timer := null;
    };
    context.payer.timer := ?Timer.recurringTimer<system>(#nanoseconds pauseNs, payAll);
  };

  func settled(context : Creation.Context, creation : Creation.Creation, outcome : Creations.Payment) {
    creation.payment := outcome;
    date(context, creation);
    context.creations.owed.remove(creation.owner);
    Creation.watchReserve(context);
  };

  /// Until when the canister takes updates, by what it was seen to have and to burn, or else by what it got and by the
  /// prices. What nobody knows to have arrived doesn't count.
  func date(context : Creation.Context, creation : Creation.Creation) {
    let ?canisterId = creation.canisterId else return;
    let paid = if (creation.payment == #Paid) creation.rest else 0;
    let { balance; burnedPerDay; at } = switch (seen(creation)) {
      case (?some) some;
      case null reckoned(context, creation, canisterId, paid);
    };
    let threshold = context.hosting.settings.freezing_threshold;
    creation.paidUntil := Funding.paidUntil(balance + paid, burnedPerDay, threshold, at);
    if (creation.status == #Completed) creation.progressMessage := Creation.readyMessage(creation);
    Registry.setPaidUntil(context.registry, canisterId, creation.paidUntil);
  };

  /// What the canister has before the rest arrives, and burns, by the prices.
  func reckoned(context : Creation.Context, creation : Creation.Creation, canisterId : Principal, paid : Nat) : Types.Seen {
    let { prices } = context.reserve.settings;
    let content = switch (creation.sourceManifest) { case (?{ content_size }) Nat64.toNat(content_size); case null 0 };
    let got = Registry.cost(context.registry, canisterId);
    let sent = if (creation.payment == #Sent or creation.payment == #Unknown) creation.rest else paid;
    let spent = sent + prices.creation + prices.import_base + prices.import_byte * content;
    {
      canisterId;
      at = context.now();
      balance = Nat.max(got, spent) - spent : Nat;
      burnedPerDay = Funding.idle(prices, Funding.canisterBytes(content), Funding.daySeconds);
    };
  };

  func unknown(context : Creation.Context, creation : Creation.Creation, canisterId : Principal, reason : Text) {
    settled(context, creation, #Unknown);
    Alerts.depositUnknown(context.alerts, canisterId, creation.rest, reason, context.now());
  };
};
