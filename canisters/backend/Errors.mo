/// Builds the one typed error that every creation endpoint answers with. Which error applies is decided by the module
/// that calls; here is only its shape.
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Budget "Budget";
import Types "Types";

module {
  /// An error without stage, canister and amounts.
  public func make(kind : Types.CreationErrorKind, message : Text, retryHelps : Bool) : Types.CreationError {
    {
      kind;
      message;
      stage = null;
      canister_id = null;
      needed = null;
      available = null;
      retry_helps = retryHelps;
      retry_at = null;
    };
  };

  /// `role` is what the caller would have to be, with its article.
  public func unauthorized(caller : Principal, role : Text) : Types.CreationError {
    if (caller.isAnonymous()) {
      return make(#Unauthorized, "The anonymous principal cannot call this; sign in as " # role # ".", false);
    };
    make(#Unauthorized, caller.toText() # " is not " # role # ".", false);
  };

  /// The request itself is wrong; the same request again is refused again.
  public func invalid(message : Text) : Types.CreationError = make(#InvalidRequest, message, false);

  /// What comes first hasn't been done or hasn't ended yet.
  public func tooEarly(message : Text) : Types.CreationError = make(#TooEarly, message, false);

  /// What was done can't be taken back any more.
  public func tooLate(message : Text) : Types.CreationError = make(#TooLate, message, false);

  /// Someone else is at it, or it's too much at once; the same request may succeed later.
  public func busy(message : Text) : Types.CreationError = make(#Busy, message, true);

  /// Too much at once by this caller; `at` (nanoseconds since 1970) it isn't any more.
  public func tooSoon(message : Text, at : Nat64, now : Nat64) : Types.CreationError {
    let seconds = if (at > now) (at - now + 999_999_999) / 1_000_000_000 else 0 : Nat64;
    { busy(message # "; try again in " # Nat64.toText(seconds) # " s.") with retry_at = ?at };
  };

  /// What an owner is told of an error: how many cycles a creation needs, not how many there are. Admins and operators
  /// are told both.
  public func forOwner(error : Types.CreationError) : Types.CreationError {
    let told = { error with available = null };
    if (error.kind == #BudgetSpent) {
      let later = switch (error.retry_at) {
        case (?_) "there is room again at the time of retry_at.";
        case null if (error.retry_helps) "try again later." else "an admin must raise it.";
      };
      return { told with message = "The cycles that creations may use in a day don't cover this one; " # later };
    };
    if (error.kind != #ReserveInsufficient) return told;
    let needed = switch (error.needed) { case (?cycles) "the " # Nat.toText(cycles) # " cycles"; case null "the cycles" };
    { told with message = "The reserve doesn't cover " # needed # " that this creation needs; an admin must top it up." };
  };

  /// `needed` and `available` in cycles.
  public func reserveInsufficient(needed : Nat, available : Nat) : Types.CreationError {
    {
      make(
        #ReserveInsufficient,
        "The reserve has " # Nat.toText(available) # " cycles available and this creation needs " # Nat.toText(needed)
        # "; an admin must top up the reserve.",
        true,
      ) with
      needed = ?needed;
      available = ?available;
    };
  };

  /// More than the budget of a day has room for. Amounts in cycles; `room` says when it has.
  public func budgetSpent(amount : Nat, budget : Nat, spent : Nat, held : Nat, room : Budget.Room) : Types.CreationError {
    let used = spent + held;
    let (later, helps, at) = switch room {
      case (#At time) ("there is room again at the time of retry_at.", true, ?time);
      case (#Now or #Later) ("there is room again when creations in progress have ended.", true, null);
      case (#Never) ("an admin must raise it (cycles_per_day).", false, null);
    };
    {
      make(
        #BudgetSpent,
        "Creations may use " # Nat.toText(budget) # " cycles in a day; the last 24 hours used " # Nat.toText(spent)
        # ", creations in progress hold " # Nat.toText(held) # ", and this one needs " # Nat.toText(amount) # ": " # later,
        helps,
      ) with
      needed = ?amount;
      available = ?(if (budget > used) budget - used else 0);
      retry_at = at;
    };
  };

  /// The status as the contract names it.
  public func statusText(status : Types.CreationStatus) : Text {
    switch status {
      case (#NotStarted) "NotStarted";
      case (#Exporting) "Exporting";
      case (#Creating) "Creating";
      case (#Installing) "Installing";
      case (#Importing) "Importing";
      case (#Verifying) "Verifying";
      case (#Completed) "Completed";
      case (#Failed) "Failed";
      case (#Undone) "Undone";
    };
  };
};
