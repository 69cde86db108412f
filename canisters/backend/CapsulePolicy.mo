/// What the backend takes of what people bring to their capsules: the admins' switches, and the limits of its balance and
/// heap. Owns the switches and these questions; not the quotas (`Quotas`), and not the lock of a capsule that is being
/// moved (`Creation`).
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Runtime "mo:core/Runtime";
import Capsule "../capsule/Types";
import Heap "../capsule/Heap";
import Limits "../capsule/Limits";
import Quotas "../capsule/Quotas";
import Store "../capsule/Store";
import Errors "Errors";
import Reserve "Reserve";
import Types "Types";

module {
  public type Switches = { var present : Types.CapsuleSwitches };

  /// What the questions are about. `funds` are those of the reserve.
  public type Context = {
    store : Store.Store;
    switches : Switches;
    reserve : Reserve.State;
    funds : () -> Reserve.Funds;
  };

  let messageChars = 500;

  /// Everything is taken.
  public func start() : Switches = { var present = { new_capsules = true; writes = true; message = null } };

  // ---- Refusals ----

  func locked(switches : Switches, otherwise : Text) : ?Capsule.CapsuleError {
    let reason = switch (switches.present.message) { case (?message) message; case null otherwise };
    ?#Locked { reason; until = null };
  };

  /// Why nothing is written now, or null.
  public func refuseWrites(context : Context) : ?Capsule.CapsuleError {
    if (context.switches.present.writes) null else locked(context.switches, "the backend takes no writes at present");
  };

  /// Why no capsule is made now, or null.
  public func refuseNewCapsules(context : Context) : ?Capsule.CapsuleError {
    if (not context.switches.present.new_capsules) {
      return locked(context.switches, "the backend takes no new capsules at present");
    };
    refuseWrites context;
  };

  /// Why nothing more is kept now, or null. Whoever asks isn't told the balance.
  public func refuseGrowth(context : Context) : ?Capsule.CapsuleError {
    if (Reserve.atMinimum(context.reserve, context.funds())) return ?#Locked {
      reason = "the backend's cycles are at its operating minimum, so it takes no writes; an admin must top it up";
      until = null;
    };
    Quotas.checkHeap(context.store.books, Heap.bytes());
  };

  // ---- Settings ----

  /// Refuses a message that is no sentence.
  public func setSwitches(context : Context, switches : Types.CapsuleSwitches) : Types.CreationResult {
    switch (switches.message) {
      case (?message) if (message == "" or message.size() > messageChars) return #Err(Errors.invalid(
        "message has " # Nat.toText(message.size()) # " characters; allowed are 1 to " # Nat.toText(messageChars) # "."
      ));
      case null {};
    };
    context.switches.present := switches;
    #Ok;
  };

  /// What is used may be more than a new limit allows: then nothing more is taken. Refuses a limit of one principal that
  /// a personal canister couldn't hold, and contents that the region couldn't.
  public func setQuotas(context : Context, quotas : Types.Quotas) : Types.CreationResult {
    switch (checkQuotas quotas) {
      case (?problem) #Err problem;
      case null { context.store.books.limits := quotas; #Ok };
    };
  };

  /// The quotas of a new backend. Traps when they are refused, so that nobody installs a backend with other quotas than
  /// asked for.
  public func startQuotas(asked : ?Types.Quotas) : Types.Quotas {
    let ?quotas = asked else return Quotas.backendLimits;
    switch (checkQuotas quotas) { case (?problem) Runtime.trap("quotas: " # problem.message); case null quotas };
  };

  func checkQuotas(quotas : Types.Quotas) : ?Types.CreationError {
    let { person; total } = quotas;
    let most = Quotas.personalTotal;
    for ((name, limit, largest) in [
      ("person.content_bytes", person.content_bytes, most.content_bytes),
      ("person.record_bytes", person.record_bytes, most.record_bytes),
      ("person.memories", person.memories, most.memories),
      ("person.galleries", person.galleries, most.galleries),
      ("total.content_bytes", total.content_bytes, Limits.contentBytes),
    ].values()) {
      if (limit > largest) return ?Errors.invalid(
        name # " is " # Nat.toText(limit) # "; it may be at most " # Nat.toText(largest) # "."
      );
    };
    null;
  };

  /// Limits, and what is used by how many.
  public func report(context : Context) : Types.QuotaReport {
    let books = context.store.books;
    { quotas = books.limits; used = books.total; heap_bytes_used = Heap.bytes(); people = books.people.size() };
  };
};
