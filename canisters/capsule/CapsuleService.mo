/// The capsule API: what both canisters offer, method by method, over one store. Owns who may call what: it refuses
/// the anonymous caller, finds the capsule, asks for access and for the host's consent (locks), and then leaves the
/// work to the module concerned. An actor only passes its caller on.
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Time "mo:core/Time";
import Access "Access";
import ApiVersion "ApiVersion";
import Capsules "Capsules";
import Connections "Connections";
import Export "Export";
import Galleries "Galleries";
import Ids "Ids";
import Memories "Memories";
import Store "Store";
import Types "Types";
import Uploads "Uploads";
import Users "Users";

module {
  type Result<T> = Types.Result<T>;
  type Capsule = Store.Capsule;

  /// What the canister around the capsules has to say. Each answers the error to refuse with, or null.
  public type Host = {
    /// The canister's own principal.
    self : () -> Principal;
    /// May this principal (never the anonymous one) become a user here?
    refuseUser : Principal -> ?Types.CapsuleError;
    /// May this principal make a capsule here?
    refuseNewCapsule : Principal -> ?Types.CapsuleError;
    /// May this capsule be written now, by someone who has the right to?
    refuseWrite : Capsule -> ?Types.CapsuleError;
    /// Does this principal administer the canister? Admins record events that owners can't, such as a death.
    isAdmin : Principal -> Bool;
  };

  public func time() : Nat64 = Nat64.fromIntWrap(Time.now());

  let anonymousRefused : Types.CapsuleError = #Unauthorized "the anonymous caller can't do this; sign in first";

  public class CapsuleService(store : Store.Store, host : Host) {
    func newId(kind : Text) : () -> Text = func() = Ids.next(store, host.self(), kind);

    // ---- Who may ----

    func refuseUser(caller : Principal) : ?Types.CapsuleError {
      if (caller.isAnonymous()) ?anonymousRefused else host.refuseUser(caller);
    };

    /// The capsule, if the caller may change it now.
    func writable(caller : Principal, found : Result<Capsule>) : Result<Capsule> = changeable(caller, found, false);

    /// The capsule if it may be changed by its people, or by an admin who acts as one.
    func changeable(caller : Principal, found : Result<Capsule>, asAdmin : Bool) : Result<Capsule> {
      if (caller.isAnonymous()) return #Err anonymousRefused;
      let #Ok capsule = found else return found;
      if (not (Access.mayWrite(capsule, caller) or asAdmin)) return #Err(
        #Unauthorized("capsule " # capsule.id # " is neither owned nor controlled by the caller")
      );
      switch (host.refuseWrite(capsule)) { case (?problem) #Err problem; case null #Ok capsule };
    };

    func ownCapsule(caller : Principal) : Result<Capsule> {
      if (caller.isAnonymous()) return #Err anonymousRefused;
      switch (Store.selfCapsule(store, caller)) {
        case (?capsule) #Ok capsule;
        case null #Err(#NotFound { kind = "self-capsule"; id = caller.toText() });
      };
    };

    func namedOrOwn(caller : Principal, id : ?Text) : Result<Capsule> = switch id {
      case (?named) Store.findCapsule(store, named);
      case null ownCapsule(caller);
    };

    /// Does the change and, if it succeeded, notes it in the capsule.
    func changing(
      caller : Principal,
      found : Result<Capsule>,
      change : (Capsule, Nat64) -> Types.UnitResult,
    ) : Types.UnitResult {
      switch (changingTo<()>(
        caller,
        found,
        func(capsule, now) = switch (change(capsule, now)) { case (#Ok) #Ok(); case (#Err problem) #Err problem },
      )) {
        case (#Ok _) #Ok;
        case (#Err problem) #Err problem;
      };
    };

    func changingTo<T>(
      caller : Principal,
      found : Result<Capsule>,
      change : (Capsule, Nat64) -> Result<T>,
    ) : Result<T> {
      switch (writable(caller, found)) {
        case (#Err problem) #Err problem;
        case (#Ok capsule) {
          let now = time();
          let result = change(capsule, now);
          switch result { case (#Ok _) Capsules.touch(capsule, caller, now); case (#Err _) {} };
          result;
        };
      };
    };

    // ---- Registration and identity ----

    public func register(caller : Principal) : Result<Types.User> = switch (refuseUser(caller)) {
      case (?problem) #Err problem;
      case null #Ok(Users.register(store, caller, time()));
    };

    public func registerWithNonce(
      caller : Principal,
      nonce : Text,
    ) : Result<Types.User> = switch (proveNonce(caller, nonce)) {
      case (#Err problem) #Err problem;
      case (#Ok) register(caller);
    };

    public func proveNonce(caller : Principal, nonce : Text) : Types.UnitResult = switch (refuseUser(caller)) {
      case (?problem) #Err problem;
      case null Users.proveNonce(store, caller, nonce, time());
    };

    public func verifyNonce(nonce : Text) : Result<Principal> = Users.verifyNonce(store, nonce, time());

    /// Binds the caller to their web account; the self-capsule, if there is one, notes it too.
    public func markBound(caller : Principal) : Types.UnitResult {
      switch (refuseUser(caller)) { case null {}; case (?problem) return #Err problem };
      switch (Store.selfCapsule(store, caller)) {
        case null {};
        case (?capsule) {
          let marked = changing(caller, #Ok capsule, func(own, _) { own.bound_to_web2 := true; #Ok });
          switch marked { case (#Ok) {}; case (#Err _) return marked };
        };
      };
      Users.markBound(store, caller, time());
      #Ok;
    };

    public func getUser(caller : Principal) : ?Types.User = store.users.get(caller);

    public func listUsers(caller : Principal) : [Types.User] = Users.visibleTo(store, caller);

    // ---- Capsules ----

    func newCapsule(caller : Principal, subject : Types.PersonRef) : Result<Capsule> {
      if (caller.isAnonymous()) return #Err anonymousRefused;
      switch (host.refuseNewCapsule(caller)) {
        case (?problem) #Err problem;
        case null Capsules.create(store, host.self(), caller, subject, time());
      };
    };

    public func createCapsule(
      caller : Principal,
      subject : Types.PersonRef,
    ) : Result<Types.CapsuleHeader> = switch (newCapsule(caller, subject)) {
      case (#Ok capsule) #Ok(Capsules.header(capsule));
      case (#Err problem) #Err problem;
    };

    /// The caller's self-capsule, made if there is none yet.
    public func registerCapsule(
      caller : Principal
    ) : Result<{ capsule_id : Text; is_new : Bool }> = switch (Store.selfCapsule(store, caller)) {
      case (?capsule) #Ok({ capsule_id = capsule.id; is_new = false });
      case null switch (newCapsule(caller, #Principal caller)) {
        case (#Ok capsule) #Ok({ capsule_id = capsule.id; is_new = true });
        case (#Err problem) #Err problem;
      };
    };

    public func getCapsule(
      caller : Principal,
      id : Text,
    ) : Result<Types.Capsule> = switch (Store.findCapsule(store, id)) {
      case (#Err problem) #Err problem;
      case (#Ok capsule) {
        if (Access.mayWrite(capsule, caller)) #Ok(Capsules.view(capsule)) else #Err(
          #Unauthorized("capsule " # id # " is shown to its owners and controllers only")
        );
      };
    };

    public func getCapsuleInfo(
      caller : Principal,
      id : Text,
    ) : Result<Types.CapsuleInfo> = switch (Store.findCapsule(store, id)) {
      case (#Err problem) #Err problem;
      case (#Ok capsule) {
        if (Access.maySeeInfo(capsule, caller)) #Ok(Capsules.info(capsule, caller)) else #Err(
          #Unauthorized("capsule " # id # " is not the caller's")
        );
      };
    };

    /// The capsules that the caller owns or controls.
    public func listMyCapsules(caller : Principal) : [Types.CapsuleHeader] = switch (store.capsules_of.get(caller)) {
      case (?capsules) capsules.values().map(Capsules.header).toArray();
      case null [];
    };

    public func recordCapsuleEvent(
      caller : Principal,
      id : Text,
      event : Types.AccessEvent,
    ) : Types.UnitResult = switch (changeable(caller, Store.findCapsule(store, id), host.isAdmin(caller))) {
      case (#Err problem) #Err problem;
      case (#Ok capsule) Capsules.recordEvent(capsule, caller, event, time());
    };

    // ---- Memories ----

    func memoryHome(id : Text) : Result<Capsule> = switch (Store.findMemory(store, id)) {
      case (#Ok(capsule, _)) #Ok capsule;
      case (#Err problem) #Err problem;
    };

    func readableMemory(
      caller : Principal,
      id : Text,
    ) : Result<Store.StoredMemory> = switch (Store.findMemory(store, id)) {
      case (#Err problem) #Err problem;
      case (#Ok(capsule, memory)) {
        if (Access.reader(capsule, caller, time())(memory.record)) #Ok memory else #Err(
          #Unauthorized("memory " # id # " is not shared with the caller")
        );
      };
    };

    public func addMemory(caller : Principal, data : Types.MemoryData, memory : Types.NewMemory) : Types.TextResult {
      changingTo<Text>(
        caller,
        namedOrOwn(caller, memory.capsule_id),
        func(capsule, now) = Memories.add(store, capsule, newId("mem"), data, memory, now),
      );
    };

    public func getMemory(caller : Principal, id : Text) : Result<Types.Memory> = switch (readableMemory(caller, id)) {
      case (#Ok memory) #Ok(Memories.view(memory));
      case (#Err problem) #Err problem;
    };

    public func updateMemory(caller : Principal, id : Text, change : Types.MemoryUpdate) : Types.UnitResult {
      changing(
        caller,
        memoryHome(id),
        func(capsule, now) {
          let ?memory = capsule.memories.get(id) else return #Err(#NotFound { kind = "memory"; id });
          Memories.update(store, capsule, memory, change, now);
        },
      );
    };

    public func deleteMemory(caller : Principal, id : Text) : Types.UnitResult {
      changing(caller, memoryHome(id), func(capsule, now) { Memories.delete(store, capsule, id, now); #Ok });
    };

    public func listMemories(
      caller : Principal,
      capsuleId : ?Text,
      request : Types.PageRequest,
    ) : Result<Types.MemoryPage> = switch (namedOrOwn(caller, capsuleId)) {
      case (#Ok capsule) #Ok(Memories.list(capsule, caller, request, time()));
      case (#Err problem) #Err problem;
    };

    public func readMemoryChunk(
      caller : Principal,
      id : Text,
      index : Nat32,
    ) : Result<Blob> = switch (readableMemory(caller, id)) {
      case (#Ok memory) Export.chunkOf(memory, index);
      case (#Err problem) #Err problem;
    };

    // ---- Uploads ----

    public func beginMemoryUpload(
      caller : Principal,
      request : Types.UploadRequest,
    ) : Result<Types.UploadSession> = switch (writable(caller, namedOrOwn(caller, request.memory.capsule_id))) {
      case (#Ok capsule) Uploads.begin(store, capsule, newId("mem"), caller, request, time());
      case (#Err problem) #Err problem;
    };

    public func putMemoryUploadChunk(
      caller : Principal,
      id : Nat64,
      index : Nat32,
      bytes : Blob,
      sha256 : Blob,
    ) : Types.UnitResult {
      let now = time();
      let upload = switch (Uploads.find(store, caller, id, now)) {
        case (#Ok upload) upload;
        case (#Err problem) return #Err problem;
      };
      // A capsule that takes no writes could never make a memory of the chunk.
      switch (writable(caller, #Ok(upload.capsule))) {
        case (#Ok _) Uploads.putChunk(upload, index, bytes, sha256, now);
        case (#Err problem) #Err problem;
      };
    };

    public func getMemoryUpload(
      caller : Principal,
      id : Nat64,
    ) : Result<Types.UploadSession> = switch (Uploads.find(store, caller, id, time())) {
      case (#Ok upload) #Ok(Uploads.view(upload));
      case (#Err problem) #Err problem;
    };

    public func commitMemoryUpload(
      caller : Principal,
      id : Nat64,
    ) : Types.TextResult = switch (Uploads.find(store, caller, id, time())) {
      case (#Err problem) #Err problem;
      case (#Ok upload) {
        if (upload.committed) return #Ok(upload.memory_id);
        changingTo<Text>(caller, #Ok(upload.capsule), func(_, now) = Uploads.commit(store, upload, now));
      };
    };

    public func abortMemoryUpload(
      caller : Principal,
      id : Nat64,
    ) : Types.UnitResult = switch (Uploads.find(store, caller, id, time())) {
      case (#Ok upload) { Uploads.abort(store, upload); #Ok };
      case (#Err problem) #Err problem;
    };

    // ---- Connections, of the caller's self-capsule ----

    public func addConnection(caller : Principal, peer : Types.PersonRef) : Types.UnitResult {
      changing(caller, ownCapsule(caller), func(capsule, now) = Connections.add(capsule, caller, peer, now));
    };

    public func updateConnectionStatus(
      caller : Principal,
      peer : Types.PersonRef,
      status : Types.ConnectionStatus,
    ) : Types.UnitResult {
      changing(caller, ownCapsule(caller), func(capsule, now) = Connections.updateStatus(capsule, peer, status, now));
    };

    public func removeConnection(caller : Principal, peer : Types.PersonRef) : Types.UnitResult {
      changing(caller, ownCapsule(caller), func(capsule, now) = Connections.remove(capsule, peer, now));
    };

    public func listConnections(caller : Principal) : Result<[Types.Connection]> = switch (ownCapsule(caller)) {
      case (#Ok capsule) #Ok(Connections.list(capsule));
      case (#Err problem) #Err problem;
    };

    public func createConnectionGroup(caller : Principal, group : Types.NewConnectionGroup) : Types.TextResult {
      changingTo<Text>(
        caller,
        ownCapsule(caller),
        func(capsule, now) = Connections.addGroup(capsule, newId("group"), group, now),
      );
    };

    public func updateConnectionGroup(
      caller : Principal,
      id : Text,
      change : Types.ConnectionGroupUpdate,
    ) : Types.UnitResult {
      changing(caller, ownCapsule(caller), func(capsule, now) = Connections.updateGroup(capsule, id, change, now));
    };

    public func deleteConnectionGroup(caller : Principal, id : Text) : Types.UnitResult {
      changing(caller, ownCapsule(caller), func(capsule, _) = Connections.removeGroup(capsule, id));
    };

    public func listConnectionGroups(
      caller : Principal
    ) : Result<[Types.ConnectionGroup]> = switch (ownCapsule(caller)) {
      case (#Ok capsule) #Ok(Connections.listGroups(capsule));
      case (#Err problem) #Err problem;
    };

    // ---- Galleries ----

    func galleryHome(id : Text) : Result<Capsule> = switch (Store.findGallery(store, id)) {
      case (#Ok(capsule, _)) #Ok capsule;
      case (#Err problem) #Err problem;
    };

    public func storeGallery(caller : Principal, data : Types.GalleryData) : Result<Types.Gallery> {
      changingTo<Types.Gallery>(
        caller,
        ownCapsule(caller),
        func(capsule, now) = Galleries.add(store, capsule, newId("gal"), caller, data, now),
      );
    };

    public func getMyGalleries(caller : Principal) : [Types.Gallery] = getUserGalleries(caller, caller);

    /// The galleries of a person's self-capsule that the caller may read.
    public func getUserGalleries(
      caller : Principal,
      person : Principal,
    ) : [Types.Gallery] = switch (Store.selfCapsule(store, person)) {
      case (?capsule) Galleries.visibleTo(capsule, caller);
      case null [];
    };

    public func getGallery(
      caller : Principal,
      id : Text,
    ) : Result<Types.Gallery> = switch (Store.findGallery(store, id)) {
      case (#Err problem) #Err problem;
      case (#Ok(capsule, gallery)) {
        if (Galleries.mayRead(capsule, gallery, caller)) #Ok gallery else #Err(
          #Unauthorized("gallery " # id # " is private")
        );
      };
    };

    public func updateGallery(caller : Principal, id : Text, change : Types.GalleryUpdate) : Result<Types.Gallery> {
      changingTo<Types.Gallery>(
        caller,
        galleryHome(id),
        func(capsule, now) {
          let ?old = capsule.galleries.get(id) else return #Err(#NotFound { kind = "gallery"; id });
          Galleries.update(store, capsule, old.record, change, now);
        },
      );
    };

    public func deleteGallery(caller : Principal, id : Text) : Types.UnitResult {
      changing(caller, galleryHome(id), func(capsule, _) { Galleries.drop(store, capsule, id); #Ok });
    };

    public func apiVersion() : Text = ApiVersion.current;
  };
};
