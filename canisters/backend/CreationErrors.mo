/// Builds the one typed error that every creation endpoint answers with. Which error applies is decided by the module that
/// calls; here is only its shape.

import Nat "mo:core/Nat";
import Principal "mo:core/Principal";

import T "BackendTypes";

module {
  public func make(kind : T.CreationErrorKind, message : Text, retryHelps : Bool) : T.CreationError {
    { kind; message; stage = null; canister_id = null; needed = null; available = null; retry_helps = retryHelps };
  };

  public func unauthorized(caller : Principal, role : Text) : T.CreationError {
    if (Principal.isAnonymous(caller)) {
      return make(#Unauthorized, "The anonymous principal cannot call this; sign in as " # role # ".", false);
    };
    make(#Unauthorized, Principal.toText(caller) # " is not " # role # ".", false);
  };

  /// The request itself is wrong; the same request again is refused again.
  public func invalid(message : Text) : T.CreationError { make(#InvalidRequest, message, false) };

  /// Someone else is at it, or it's too much at once; the same request may succeed later.
  public func busy(message : Text) : T.CreationError { make(#Busy, message, true) };

  /// `needed` and `available` in cycles.
  public func reserveInsufficient(needed : Nat, available : Nat) : T.CreationError {
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

  public func statusText(status : T.CreationStatus) : Text {
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
