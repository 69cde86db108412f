/// Which operator a creation belongs to: the one that had its canister created, and that controls the canister beside the
/// owner. Nobody else can do anything with it, so nobody else is let in. Owns how it passes to another operator; the
/// canister's controllers are changed by who controls it.
import Array "mo:core/Array";
import Principal "mo:core/Principal";
import Creation "Creation";
import Creations "Creations";
import Errors "Errors";
import Roles "Roles";
import Types "Types";

module {
  /// How many operators a creation may have had. Each is a change in the canister's history, which is told in part only.
  let mostOperators = 10;

  /// Why this operator has no part in the creation, and who can go on with it; null when it has.
  public func refusal(context : Creation.Context, creation : Creation.Creation, caller : Principal) : ?Types.CreationError {
    let ?operator = Creations.operator(creation) else return null;
    if (operator == caller) return null;
    let whose = "The creation of " # creation.owner.toText() # " belongs to the operator " # operator.toText()
    # ", which had its canister created and controls it. ";
    let way = switch (Creation.nextOperator(context, creation)) {
      case (?next) {
        "That is no operator any more: a retry by the owner (retry) puts " # next.toText() # " in its place.";
      };
      case null "No other can go on with it, unless that one hands it on (admin operators hand-on).";
    };
    ?Creation.located(creation, Errors.make(#Busy, whose # way, false));
  };

  /// Gives the leased creation to another operator. Its canister is to be controlled by that one and the owner already.
  public func handOn(context : Creation.Context, creation : Creation.Creation, next : Principal) : Types.CreationResult {
    if (not Roles.isOperator(context.roles, next)) {
      return #Err(Creation.refused(creation, next.toText() # " is no operator of this backend; an admin has to add it."));
    };
    switch (Creation.busy(context, creation)) { case null {}; case (?problem) return #Err problem };
    if (Creation.isSealed(creation)) return #Err(Creation.unsettled(creation));
    if (creation.canisterId == null) {
      return #Err(Creation.refused(creation, "There is no canister yet, so that any operator can go on."));
    };
    if (creation.operators.size() >= mostOperators) {
      return #Err(Creation.refused(creation, "The creation was handed on too often."));
    };
    pass(context, creation, next);
    #Ok;
  };

  /// At the owner's wish, who controls the canister, too: whoever can go on takes the place of an operator that is none any
  /// more. Does nothing where the creation's operator still is one, or where there is no other.
  public func replaceFormer(context : Creation.Context, creation : Creation.Creation) {
    switch (Creation.nextOperator(context, creation)) {
      case (?next) pass(context, creation, next);
      case null {};
    };
  };

  func pass(context : Creation.Context, creation : Creation.Creation, next : Principal) {
    creation.operators := creation.operators.filter(func each = each != next).concat([next]);
    creation.lease := null;
    creation.updatedAt := context.now();
    if (Creations.isOpen(creation)) creation.progressMessage := "Waiting for the operator " # next.toText() # ".";
  };
};
