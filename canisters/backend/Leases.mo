/// Leases: which worker may work on a creation, until when, and under which fencing number. Numbers only grow, so a
/// worker that was replaced cannot act any more, however late its messages arrive. A lease may carry the owner's write
/// lock.
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Errors "Errors";
import Types "Types";

module {
  public let defaultDurationNs : Nat64 = 60_000_000_000;
  public let longestDurationNs : Nat64 = 600_000_000_000;
  let workerChars = 100;

  public type Lease = {
    number : Nat64;
    holder : Principal;
    worker : Text;
    durationNs : Nat64;
    var expiresAt : Nat64;
    /// Whether an export took the write lock, which lasts as long as the lease then.
    var locksWrites : Bool;
    /// Verifications under way: each has the write lock until it has answered.
    var verifications : Nat;
  };

  public type Counter = { var next : Nat64 };

  /// A lease has ended at `expiresAt` itself.
  public func isLive(lease : Lease, now : Nat64) : Bool = now < lease.expiresAt;

  /// Whether the owner's writes are refused as long as the lease lives.
  public func locks(lease : Lease) : Bool = lease.locksWrites or lease.verifications > 0;

  /// The lease, unless it has ended.
  public func live(lease : ?Lease, now : Nat64) : ?Lease {
    switch lease { case (?some) if (isLive(some, now)) lease else null; case null null };
  };

  /// A new lease with the next number. The same operator and worker name may claim again at any time, others only when
  /// `current` has expired.
  public func claim(
    counter : Counter,
    current : ?Lease,
    holder : Principal,
    request : Types.ClaimRequest,
    now : Nat64,
  ) : Types.Result<Lease> {
    if (request.worker == "" or request.worker.size() > workerChars) {
      return #Err(Errors.invalid("The worker's name must have 1 to 100 characters."));
    };
    let durationNs = switch (request.duration_ns) { case (?some) some; case null defaultDurationNs };
    if (durationNs == 0 or durationNs > longestDurationNs) {
      return #Err(Errors.invalid(
        "A lease of " # Nat64.toText(durationNs) # " ns was asked; allowed are 1 to "
        # Nat64.toText(longestDurationNs) # "."
      ));
    };
    switch (live(current, now)) {
      case (?taken) {
        if (taken.holder != holder or taken.worker != request.worker) {
          return #Err(Errors.busy(
            "Worker " # taken.worker # " of " # taken.holder.toText() # " works on this creation until "
            # Nat64.toText(taken.expiresAt) # "."
          ));
        };
      };
      case null {};
    };
    let number = counter.next;
    counter.next += 1;
    #Ok {
      number;
      holder;
      worker = request.worker;
      durationNs;
      var expiresAt = now + durationNs;
      var locksWrites = false;
      var verifications = 0;
    };
  };

  /// The lease, if it's the caller's, has that number and hasn't expired.
  public func require(lease : ?Lease, caller : Principal, number : Nat64, now : Nat64) : Types.Result<Lease> {
    let name = "Lease " # Nat64.toText(number) # " is lost: ";
    let ?held = lease else return #Err(Errors.busy(name # "nobody holds this creation now. Claim it again."));
    if (held.number != number or held.holder != caller) {
      return #Err(Errors.busy(name # "another claim, number " # Nat64.toText(held.number) # ", replaced it."));
    };
    if (not isLive(held, now)) {
      return #Err(Errors.busy(name # "it expired at " # Nat64.toText(held.expiresAt) # ". Claim the creation again."));
    };
    #Ok held;
  };

  /// Runs for the claimed duration from now on.
  public func renew(lease : Lease, now : Nat64) : Nat64 {
    lease.expiresAt := now + lease.durationNs;
    lease.expiresAt;
  };
};
