/// Registered callers and the nonces by which a caller proves a web session to be theirs. A nonce is bound to who
/// proved it and is valid for ten minutes. Owns users and nonces; knows nothing of capsules but who is connected.
import List "mo:core/List";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Order "mo:core/Order";
import Text "mo:core/Text";
import Limits "Limits";
import Persons "Persons";
import Quotas "Quotas";
import Store "Store";
import Types "Types";
import Validate "Validate";

module {
  /// Expired nonces that one proof forgets at most, so that no message has to pay for all of them.
  let forgottenAtOnce = 200;

  /// `LimitExceeded`: the caller isn't registered, and there is no room for it.
  public func checkRoom(store : Store.Store, caller : Principal) : Validate.Problem {
    if (store.users.containsKey(caller)) null else Quotas.check(Store.account(store, caller), Quotas.user);
  };

  /// Registers the caller, or notes the activity of one who is registered.
  public func register(store : Store.Store, caller : Principal, now : Nat64) : Types.Result<Types.User> {
    switch (checkRoom(store, caller)) { case null {}; case (?problem) return #Err problem };
    let user : Types.User = switch (store.users.get(caller)) {
      case (?known) ({ known with last_activity_at = now });
      case null {
        Quotas.charge(Store.account(store, caller), Quotas.user);
        { principal_id = caller; registered_at = now; last_activity_at = now; bound = false };
      };
    };
    store.users.add(caller, user);
    #Ok user;
  };

  /// Notes that the caller is bound to a web account; registers them if need be.
  public func markBound(store : Store.Store, caller : Principal, now : Nat64) : Types.UnitResult {
    switch (register(store, caller, now)) {
      case (#Ok user) { store.users.add(caller, { user with bound = true }); #Ok };
      case (#Err problem) #Err problem;
    };
  };

  /// Binds the nonce to the caller. The same caller may prove it again, which makes it valid for another ten minutes.
  public func proveNonce(store : Store.Store, caller : Principal, nonce : Text, now : Nat64) : Types.UnitResult {
    if (nonce == "") return #Err(#InvalidArgument { field = "nonce"; reason = "must not be empty" });
    switch (Validate.textAtMost("nonce", nonce, Limits.nonceChars)) {
      case null {};
      case (?problem) return #Err problem;
    };
    dropExpired(store, now);
    let own = switch (store.nonces_of.get(caller)) { case (?known) known.toArray(); case null [] };
    for (each in own.values()) forgetExpired(store, each, now);
    forgetExpired(store, nonce, now);
    let account = Store.account(store, caller);
    switch (store.nonces.get(nonce)) {
      case (?known) {
        if (known.owner != caller) return #Err(#AlreadyExists { kind = "nonce"; id = nonce });
        forget(store, nonce, known);
      };
      case null switch (Quotas.check(account, Quotas.nonce)) { case null {}; case (?problem) return #Err problem };
    };
    Quotas.charge(account, Quotas.nonce);
    let expires_at = now + Limits.nonceLifetime;
    store.nonces.add(nonce, { owner = caller; expires_at });
    store.nonce_expiries.add(compareExpiries, (expires_at, nonce));
    noncesOf(store, caller).add(nonce);
    #Ok;
  };

  func noncesOf(store : Store.Store, caller : Principal) : Set.Set<Text> = switch (store.nonces_of.get(caller)) {
    case (?known) known;
    case null {
      let fresh = Set.empty<Text>();
      store.nonces_of.add(caller, fresh);
      fresh;
    };
  };

  /// Who proved the nonce, while it is valid.
  public func verifyNonce(
    store : Store.Store,
    nonce : Text,
    now : Nat64,
  ) : Types.Result<Principal> = switch (store.nonces.get(nonce)) {
    case (?{ owner; expires_at }) if (now < expires_at) #Ok owner else #Err(
      #NotFound { kind = "valid nonce"; id = nonce }
    );
    case null #Err(#NotFound { kind = "valid nonce"; id = nonce });
  };

  func compareExpiries(a : (Nat64, Text), b : (Nat64, Text)) : Order.Order = switch (Nat64.compare(a.0, b.0)) {
    case (#equal) Text.compare(a.1, b.1);
    case different different;
  };

  func dropExpired(store : Store.Store, now : Nat64) {
    var looked = 0;
    while (looked < forgottenAtOnce) {
      let ?(expires_at, nonce) = store.nonce_expiries.min() else return;
      if (now < expires_at) return;
      let ?known = store.nonces.get(nonce) else return;
      forget(store, nonce, known);
      looked += 1;
    };
  };

  func forgetExpired(store : Store.Store, nonce : Text, now : Nat64) {
    switch (store.nonces.get(nonce)) {
      case (?known) if (now >= known.expires_at) forget(store, nonce, known);
      case null {};
    };
  };

  func forget(store : Store.Store, nonce : Text, known : Store.Nonce) {
    store.nonces.remove(nonce);
    let own = noncesOf(store, known.owner);
    own.remove(nonce);
    if (own.isEmpty()) store.nonces_of.remove(known.owner);
    store.nonce_expiries.remove(compareExpiries, (known.expires_at, nonce));
    Quotas.charge(Store.account(store, known.owner), Quotas.negated(Quotas.nonce));
  };

  /// The caller, and those registered people who have accepted a connection with the caller as the caller has with them:
  /// a connection alone is what its owner says of another, who needn't know of it.
  public func visibleTo(store : Store.Store, caller : Principal) : [Types.User] {
    let users = List.empty<Types.User>();
    switch (store.users.get(caller)) { case (?own) users.add(own); case null {} };
    switch (Store.selfCapsule(store, caller)) {
      case null {};
      case (?capsule) for ({ record } in capsule.connections.values()) {
        switch (record.peer) {
          case (#Principal peer) if (record.status == #Accepted and accepts(store, peer, caller)) {
            switch (store.users.get(peer)) { case (?user) users.add(user); case null {} };
          };
          case (#Opaque _) {};
        };
      };
    };
    users.toArray();
  };

  /// Whether the person has accepted a connection with the other.
  func accepts(store : Store.Store, person : Principal, other : Principal) : Bool {
    let ?capsule = Store.selfCapsule(store, person) else return false;
    switch (capsule.connections.get(Persons.key(#Principal other))) {
      case (?{ record }) record.status == #Accepted;
      case null false;
    };
  };
};
