/// Who may have a personal canister made: everybody, those on a list, or those whom an admin approves one by one. Owns
/// this rule and the list. What a request holds and where it waits is in `CreationRequest` and `Creations`.
import Iter "mo:core/Iter";
import List "mo:core/List";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Option "mo:core/Option";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Pages "../capsule/Pages";
import Errors "Errors";
import Types "Types";

module {
  public type State = { var mode : Types.Admission; listed : Set.Set<Principal> };

  /// How many owners the list may have.
  public let mostListed = 10_000;
  /// How many requests may wait for approval: whoever can make principals can make requests, and each is kept.
  public let mostWaiting = 1_000;

  /// Open where nothing else is asked for, with nobody on the list.
  public func start(mode : ?Types.Admission) : State {
    { var mode = mode.get(#Open); listed = Set.empty<Principal>() };
  };

  /// What comes of an owner's request. Those on the list needn't wait for approval.
  public type Verdict = { #Admitted; #Waits; #Refused : Types.CreationError };

  /// `approved`: an admin has approved this creation before.
  public func judge(state : State, owner : Principal, approved : Bool) : Verdict {
    if (state.listed.contains(owner)) return #Admitted;
    switch (state.mode) {
      case (#Open) #Admitted;
      case (#Approval) if approved #Admitted else #Waits;
      case (#Listed) #Refused(Errors.make(
        #NotAdmitted,
        owner.toText() # " is not on the list of owners who get a personal canister here; an admin can add it.",
        false,
      ));
    };
  };

  /// Adding one again is a success.
  public func add(state : State, owner : Principal) : Types.CreationResult {
    if (owner.isAnonymous()) return #Err(Errors.invalid("The anonymous principal has no capsule."));
    if (not state.listed.contains(owner) and state.listed.size() >= mostListed) {
      return #Err(Errors.invalid("The list has " # Nat.toText(mostListed) # " owners, which is the most; remove some first."));
    };
    state.listed.add(owner);
    #Ok;
  };

  /// Removing someone who isn't on the list is a success. What they asked for goes on.
  public func remove(state : State, owner : Principal) : Types.CreationResult {
    state.listed.remove(owner);
    #Ok;
  };

  /// In the order of principals; `after` is the last one of the page before.
  public func page(state : State, request : Types.OwnerPageRequest) : Types.AdmittedPage {
    let owners = switch (request.after) {
      case null state.listed.values();
      case (?owner) state.listed.valuesFrom(owner).filter(func one = one != owner);
    };
    let limit = Pages.size(request.limit);
    let items = List.empty<Principal>();
    for (owner in owners.take(limit + 1)) items.add(owner);
    let isLast = items.size() <= limit;
    if (not isLast) ignore items.removeLast();
    { items = items.toArray(); next = if isLast null else items.last(); total = Nat64.fromNat(state.listed.size()) };
  };
};
