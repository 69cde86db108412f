/// What follows from a canister's history: it is attested, or its creation ends and the canister is lost. Owns no judgement
/// (`History`) and no call (`CanisterOperations`).
import Nat "mo:core/Nat";
import Principal "mo:core/Principal";
import CanisterHistory "../capsule/CanisterHistory";
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
  /// Who may have had a part in it besides the owner.
  public type Authorities = { roles : Roles.State; backend : () -> Principal };

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
      backend = authorities.backend();
      owner = creation.owner;
      wasOperator = func(other, at) = Roles.wasOperator(authorities.roles, other, at);
      isApproved = func hash = Releases.isApproved(context.releases, hash);
    };
    switch (History.judge(known, history, creation.attested, moment)) {
      case (#Good attested) #Ok attested;
      case (#Refused why) {
        let error = Creation.located(creation, refusal(canisterId, why));
        CreationEnd.lose(context, creation, canisterId, error);
        #Err error;
      };
    };
  };

  /// Null when the module may be asked: it's an approved release, also after the owner has got the canister.
  public func notReleased(context : Creation.Context, moduleHash : ?Blob) : ?Text {
    let ?hash = moduleHash else return ?"The canister has no module installed.";
    if (Releases.isApproved(context.releases, hash)) return null;
    ?("The module " # Verification.hex(hash) # " is not an approved release.");
  };

  func refusal(canisterId : Principal, why : Text) : Types.CreationError {
    Errors.make(
      #HistoryFailed,
      "The canister " # canisterId.toText() # " can't become its owner's: " # why
      # ". The capsule is here as it was. A retry by the owner takes a new canister, up to "
      # Nat.toText(CreationPolicy.mostLosses) # " times; an operator cleans up this one (cleanup).",
      true,
    );
  };
};
