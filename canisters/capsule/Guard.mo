/// Who may do what in the capsule API, and how a change goes on record: the anonymous caller is refused, the thing is
/// found, access and the host's consent (locks) are asked for, and a change that succeeded is noted in the capsule.
/// What the caller may not know of is answered like what isn't there (`notFound`), in every method.
/// Owns these questions and their order; not the rules of access (`Access`), and not what a change does.
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Access "Access";
import Capsules "Capsules";
import Clock "Clock";
import Galleries "Galleries";
import MerkleTree "MerkleTree";
import Store "Store";
import Types "Types";
import Uploads "Uploads";

module {
  type Result<T> = Types.Result<T>;
  type Capsule = Store.Capsule;

  /// What the canister around the capsules has to say. Questions about refusals are answered with the error to
  /// refuse with, or null.
  public type Host = {
    /// 32 random bytes that nobody else knows.
    randomness : () -> async* Result<Blob>;
    /// May this principal (never the anonymous one) become a user here?
    refuseUser : Principal -> ?Types.CapsuleError;
    /// May this principal have anything here? Asked before they are told what they use.
    refuseAccount : Principal -> ?Types.CapsuleError;
    /// May this principal make a capsule here?
    refuseNewCapsule : Principal -> ?Types.CapsuleError;
    /// Is everything of the capsules here?
    isComplete : () -> Bool;
    /// The time that the capsule's rules of access go by. It stands still where the capsule has moved away from: what opens
    /// later opens where its owner can keep it shut.
    ruleTime : Capsule -> Nat64;
    /// May this capsule be written now by this principal, who has the right to?
    refuseWrite : (Capsule, Principal) -> ?Types.CapsuleError;
    /// The same for an owner who takes back what others could open: only while the capsule moves may that be refused.
    refuseVeto : (Capsule, Principal) -> ?Types.CapsuleError;
    /// Where the capsule's contents are, if they are being erased here, or were.
    erased : Capsule -> ?Types.CapsuleError;
    /// May anything be added here now: is there heap for it, and are there cycles to keep it? What only takes away isn't
    /// asked about.
    refuseGrowth : () -> ?Types.CapsuleError;
    /// Told of a change in the capsule, after it is noted there.
    changed : Capsule -> ();
    /// Chunks that are stored, and belong neither to a memory nor to an upload.
    staged : () -> Iter.Iter<Store.Chunk>;
    /// All capsules, also one that can't be found yet.
    capsules : () -> Iter.Iter<Capsule>;
  };

  let anonymousRefused : Types.CapsuleError = #Unauthorized "the anonymous caller can't do this; sign in first";

  public class Guard(store : Store.Store, host : Host) {
    /// Why the caller can't be a user here, or null.
    public func refuseUser(caller : Principal) : ?Types.CapsuleError {
      if (caller.isAnonymous()) return ?anonymousRefused;
      switch (host.refuseUser(caller)) { case null host.refuseGrowth(); case refusal refusal };
    };

    /// Why the caller can't have anything here, or null.
    public func refuseAccount(caller : Principal) : ?Types.CapsuleError {
      if (caller.isAnonymous()) ?anonymousRefused else host.refuseAccount(caller);
    };

    /// Why the caller can't make a capsule here, or null.
    public func refuseNewCapsule(caller : Principal) : ?Types.CapsuleError {
      if (caller.isAnonymous()) return ?anonymousRefused;
      switch (host.refuseNewCapsule(caller)) { case null host.refuseGrowth(); case refusal refusal };
    };

    // ---- What the caller may know of ----

    /// The one answer for a thing that isn't there, and for one that the caller may not know of.
    func notFound<T>(kind : Text, id : Text) : Result<T> = #Err(#NotFound { kind; id });

    /// The same for a memory or a gallery. It may be one of what was erased: those who may write such a capsule are told where
    /// its contents are, whether the id is unknown or somebody else's.
    func unknown<T>(caller : Principal, kind : Text, id : Text) : Result<T> {
      let ?capsules = store.capsules_of.get(caller) else return notFound(kind, id);
      for (home in capsules.values()) { switch (host.erased(home)) { case (?moved) return #Err moved; case null {} } };
      notFound(kind, id);
    };

    /// The capsule, if its contents are here; those who may write it are told where else they are.
    public func present(home : Capsule) : Result<Capsule> = switch (host.erased(home)) {
      case (?moved) #Err moved;
      case null #Ok home;
    };

    /// Who decides what the caller may read in the capsule; of one that is being erased nobody reads anything but who may
    /// write it.
    public func reader(home : Capsule, caller : Principal) : Access.Reader {
      Access.Reader(home, caller, host.ruleTime(home), host.isComplete() and host.erased(home) == null);
    };

    /// The capsule of that id, if its head is the caller's to see.
    public func capsule(caller : Principal, id : Text) : Result<Capsule> = switch (store.capsules.get(id)) {
      case (?found) if (Access.maySeeInfo(found, caller)) #Ok found else notFound("capsule", id);
      case null notFound("capsule", id);
    };

    /// What `view` shows of the capsule, to those who may write it.
    public func readable<T>(
      caller : Principal,
      id : Text,
      view : Capsule -> T,
    ) : Result<T> = switch (capsule(caller, id)) {
      case (#Err problem) #Err problem;
      case (#Ok home) {
        if (not Access.mayWrite(home, caller)) return #Err(
          #Unauthorized("capsule " # id # " is shown to its owners and controllers only")
        );
        switch (present home) { case (#Ok _) #Ok(view(home)); case (#Err moved) #Err moved };
      };
    };

    /// The memory of that id and its capsule, if the caller may read it.
    public func memory(caller : Principal, id : Text) : Result<(Capsule, Store.StoredMemory, Access.Reader)> {
      let ?home = store.memory_homes.get(id) else return unknown(caller, "memory", id);
      let ?found = home.memories.get(id) else return unknown(caller, "memory", id);
      let by = reader(home, caller);
      if (not by.mayRead(found)) return unknown(caller, "memory", id);
      switch (present home) { case (#Ok _) #Ok(home, found, by); case (#Err moved) #Err moved };
    };

    /// The gallery of that id and its capsule, if the caller may see it.
    public func gallery(caller : Principal, id : Text) : Result<(Capsule, Types.Gallery, Access.Reader)> {
      let ?home = store.gallery_homes.get(id) else return unknown(caller, "gallery", id);
      let ?{ record } = home.galleries.get(id) else return unknown(caller, "gallery", id);
      let by = reader(home, caller);
      if (not Galleries.mayRead(record, by)) return unknown(caller, "gallery", id);
      switch (present home) { case (#Ok _) #Ok(home, record, by); case (#Err moved) #Err moved };
    };

    /// The caller's session of that id, unless it has expired.
    public func upload(caller : Principal, id : Nat64) : Result<Store.Upload> = switch (store.uploads.get(id)) {
      case (?found) if (found.owner == caller) Uploads.live(found, Clock.now()) else notFound("upload", Nat64.toText(id));
      case null notFound("upload", Nat64.toText(id));
    };

    /// The caller's self-capsule. Refuses the anonymous caller, and whoever has none.
    public func ownCapsule(caller : Principal) : Result<Capsule> {
      if (caller.isAnonymous()) return #Err anonymousRefused;
      switch (Store.selfCapsule(store, caller)) {
        case (?own) present own;
        case null notFound("self-capsule", caller.toText());
      };
    };

    /// The capsule of that id; without one the caller's self-capsule.
    public func namedOrOwn(caller : Principal, id : ?Text) : Result<Capsule> = switch id {
      case (?named) capsule(caller, named);
      case null ownCapsule(caller);
    };

    // ---- What the caller may change ----

    /// The capsule, if the caller may add something to it now. `found` is what they may know of.
    public func writable(caller : Principal, found : Result<Capsule>) : Result<Capsule> {
      growing(changeable(caller, found));
    };

    /// The capsule, if the caller may change it now, by taking something away at least.
    func changeable(caller : Principal, found : Result<Capsule>) : Result<Capsule> = writersOwn(
      caller,
      found,
      host.refuseWrite,
    );

    /// The capsule, if it is the caller's to change, and there is no other reason against it.
    func writersOwn(
      caller : Principal,
      found : Result<Capsule>,
      refusal : (Capsule, Principal) -> ?Types.CapsuleError,
    ) : Result<Capsule> {
      if (caller.isAnonymous()) return #Err anonymousRefused;
      let #Ok home = found else return found;
      if (not Access.mayWrite(home, caller)) return #Err(
        #Unauthorized "only the owners and controllers of the capsule may do this"
      );
      switch (refusal(home, caller)) { case (?problem) #Err problem; case null #Ok home };
    };

    /// The capsule, if the caller may record an event in it now: as one of its people, or as an executor, for whose
    /// events there is room since they were named.
    public func recordable(caller : Principal, id : Text) : Result<Capsule> = switch (executed(caller, id)) {
      case (?home) unlocked(home, caller);
      case null writable(caller, capsule(caller, id));
    };

    /// The capsule of that id, if the caller is an executor of it, and no more than that.
    public func executed(caller : Principal, id : Text) : ?Capsule = do ? {
      let home = store.capsules.get(id)!;
      if (Access.mayWrite(home, caller) or not Access.isExecutor(home, caller)) null! else home;
    };

    func unlocked(home : Capsule, caller : Principal) : Result<Capsule> = switch (host.refuseWrite(home, caller)) {
      case (?problem) #Err problem;
      case null #Ok home;
    };

    /// There is room for one item more then.
    func growing(found : Result<Capsule>) : Result<Capsule> {
      let #Ok home = found else return found;
      switch (host.refuseGrowth()) { case null {}; case (?problem) return #Err problem };
      switch (MerkleTree.reserve(home.tree.nodes, 1)) { case (#Ok) found; case (#Err problem) #Err problem };
    };

    func note(home : Capsule, caller : Principal, now : Nat64) {
      Capsules.touch(home, caller, now);
      host.changed(home);
    };

    /// Tells the host of a change that isn't noted in the capsule, such as an executor's.
    public func changed(home : Capsule) { host.changed(home) };

    /// Does the change in a capsule that the caller may change, and notes it there if it succeeded.
    func noting(
      caller : Principal,
      allowed : Result<Capsule>,
      change : (Capsule, Nat64) -> Types.UnitResult,
    ) : Types.UnitResult {
      switch allowed {
        case (#Err problem) #Err problem;
        case (#Ok home) {
          let now = Clock.now();
          let result = change(home, now);
          if (result == #Ok) note(home, caller, now);
          result;
        };
      };
    };

    /// Does a change that takes something away, if the caller may make it, and notes it in the capsule if it succeeded.
    public func removing(
      caller : Principal,
      found : Result<Capsule>,
      change : (Capsule, Nat64) -> Types.UnitResult,
    ) : Types.UnitResult = noting(caller, changeable(caller, found), change);

    /// Does a change by which an owner keeps shut what others could open, and notes it in the capsule if it succeeded.
    public func vetoing(
      caller : Principal,
      found : Result<Capsule>,
      change : (Capsule, Nat64) -> Types.UnitResult,
    ) : Types.UnitResult = noting(caller, writersOwn(caller, found, host.refuseVeto), change);

    /// Does the change, if the caller may make it, and notes it in the capsule if it succeeded.
    public func changing(
      caller : Principal,
      found : Result<Capsule>,
      change : (Capsule, Nat64) -> Types.UnitResult,
    ) : Types.UnitResult = noting(caller, writable(caller, found), change);

    /// The same for a change that has a result.
    public func changingTo<T>(
      caller : Principal,
      found : Result<Capsule>,
      change : (Capsule, Nat64) -> Result<T>,
    ) : Result<T> {
      switch (writable(caller, found)) {
        case (#Err problem) #Err problem;
        case (#Ok home) {
          let now = Clock.now();
          let result = change(home, now);
          switch result { case (#Ok _) note(home, caller, now); case (#Err _) {} };
          result;
        };
      };
    };
  };
};
