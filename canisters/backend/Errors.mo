/// Builds the one typed error that every creation endpoint answers with. Which error applies is decided by the module
/// that calls; here is only its shape.
import Nat "mo:core/Nat";
import Principal "mo:core/Principal";
import Types "Types";

module {
  /// An error without stage, canister and amounts.
  public func make(kind : Types.CreationErrorKind, message : Text, retryHelps : Bool) : Types.CreationError {
    { kind; message; stage = null; canister_id = null; needed = null; available = null; retry_helps = retryHelps };
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

  /// Someone else is at it, or it's too much at once; the same request may succeed later.
  public func busy(message : Text) : Types.CreationError = make(#Busy, message, true);

  /// What an owner is told of an error: how many cycles a creation needs, not how many there are. Admins and operators
  /// are told both.
  public func forOwner(error : Types.CreationError) : Types.CreationError {
    let told = { error with available = null };
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
    };
  };
};
