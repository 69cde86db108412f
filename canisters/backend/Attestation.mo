/// What follows from a canister's history: it is attested, or its creation ends and the canister is lost. Owns no judgement
/// (`History`) and no call (`CanisterOperations`).
import Nat "mo:core/Nat";
import Principal "mo:core/Principal";
import CanisterHistory "../capsule/CanisterHistory";
import CanisterOperations "CanisterOperations";
import Creation "Creation";
import CreationEnd "CreationEnd";
import CreationPolicy "CreationPolicy";
import Errors "Errors";
import History "History";
import Releases "Releases";
import Roles "Roles";
import Types "Types";
import Verification "Verification";

module {
  /// Who may have had a part in it besides the owner: operators, and this backend, whose id is `backend`, by whatever id it
  /// had. `enter` puts the present id on record, before a canister is created by it.
  public type Authorities = {
    roles : Roles.State;
    backend : () -> Principal;
    isBackend : Principal -> Bool;
    enter : () -> ();
  };

  /// Judges what the network tells of the creation's canister, from where its verification had judged it. A history that
  /// is refused ends the creation: nothing done to that canister later makes it good.
  public func attest(
    context : Creation.Context,
    authorities : Authorities,
    creation : Creation.Creation,
    canisterId : Principal,
    history : CanisterHistory.History,
    moment : History.Moment,
  ) : Types.Result<History.Attested> {
    let known : History.Known = {
      isBackend = authorities.isBackend;
      owner = creation.owner;
      wasOperator = func(other, at) = Roles.wasOperator(authorities.roles, other, at);
      isApproved = func hash = Releases.isApproved(context.releases, hash);
    };
    switch (History.judge(known, history, creation.attested, moment)) {
      case (#Good attested) #Ok attested;
      case (#Refused why) {
        let error = Creation.located(creation, refusal(creation, canisterId, why));
        CreationEnd.lose(context, creation, canisterId, error);
        #Err error;
      };
    };
  };

  /// What the network told of the canister, or the verification's error.
  public func told(
    creation : Creation.Creation,
    info : CanisterOperations.Info,
  ) : Types.Result<CanisterHistory.History> = switch info {
    case (#Info history) #Ok history;
    case (#Gone) #Err(deleted(creation));
    case (#Rejected reason) #Err(unverified(creation, notTold reason));
  };

  /// Nothing that is tried again brings it back.
  public func deleted(creation : Creation.Creation) : Types.CreationError {
    let way = "The canister was deleted. When this creation is cleaned up (cleanup), its owner can ask for another canister.";
    Creation.located(creation, Errors.make(#VerifyFailed, way, false));
  };

  /// Why nothing is known of the canister.
  public func notTold(reason : Text) : Text = "The management canister gave no information on the canister: " # reason;

  /// What else may be the reason that a canister gives this backend no manifest; "" when it can't be.
  public func ofFormer(context : Creation.Context) : Text {
    if (not context.hadAnotherId()) return "";
    " It may have been installed before this backend was restored from a backup: then it answers the former backend alone, "
    # "until its owner tells it of this one (owner backend), whose canister it is all the same.";
  };

  /// The verification's error: it may be tried again.
  public func unverified(creation : Creation.Creation, message : Text) : Types.CreationError {
    Creation.located(creation, Errors.make(#VerifyFailed, message, true));
  };

  /// Null when the module may be asked: it's an approved release, also after the owner has got the canister.
  public func notReleased(context : Creation.Context, moduleHash : ?Blob) : ?Text {
    let ?hash = moduleHash else return ?"The canister has no module installed.";
    if (Releases.isApproved(context.releases, hash)) return null;
    ?("The module " # Verification.hex(hash) # " is not an approved release.");
  };

  /// Before a canister is lost: whether the owner's retry takes another one then.
  public func isReplaced(creation : Creation.Creation) : Bool = creation.lost.size() + 1 < CreationPolicy.mostLosses;

  func refusal(creation : Creation.Creation, canisterId : Principal, why : Text) : Types.CreationError {
    Errors.make(
      #HistoryFailed,
      "The canister " # canisterId.toText() # " can't become its owner's: " # why
      # ". The capsule is here as it was. A retry by the owner takes a new canister, up to "
      # Nat.toText(CreationPolicy.mostLosses) # " times; an operator cleans up this one (cleanup).",
      isReplaced(creation),
    );
  };
};
