/// The capsule API: what both canisters offer, method by method, over one store. Owns what each method needs and in
/// which order; who may call is asked of `Guard`, and the work is left to the module concerned. An actor only passes
/// its caller on.
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Access "Access";
import ApiVersion "ApiVersion";
import Capsules "Capsules";
import Clock "Clock";
import Connections "Connections";
import Contents "Contents";
import EventService "EventService";
import Executors "Executors";
import Export "Export";
import Galleries "Galleries";
import Guard "Guard";
import Ids "Ids";
import Manifest "Manifest";
import Memories "Memories";
import MemoryViews "MemoryViews";
import Quotas "Quotas";
import Store "Store";
import Types "Types";
import Uploads "Uploads";
import Users "Users";

module {
  type Result<T> = Types.Result<T>;
  type Capsule = Store.Capsule;

  /// Each method is the endpoint of that name in the contracts, which say what it does and refuses, for one caller.
  public class CapsuleService(store : Store.Store, host : Guard.Host) {
    let guard = Guard.Guard(store, host);

    /// The methods about events and executors.
    public let events = EventService.EventService(guard);

    func newId(kind : Text) : () -> Text = func() = Ids.next(store, kind, Clock.now());

    /// Draws the secret of the ids, when a caller who may be the first to make one comes. To be awaited before a method
    /// that makes an id, which asks everything itself: other messages may have come in between.
    public func ready(caller : Principal) : async* ?Types.CapsuleError {
      if (Ids.isReady(store) or guard.refuseUser(caller) != null) return null;
      switch (await* host.randomness()) {
        case (#Err problem) ?problem;
        case (#Ok secret) { Ids.keepSecret(store, secret); null };
      };
    };

    // ---- Registration and identity ----

    public func register(caller : Principal) : Result<Types.User> = switch (guard.refuseUser(caller)) {
      case (?problem) #Err problem;
      case null Users.register(store, caller, Clock.now());
    };

    /// Both, or neither.
    public func registerWithNonce(caller : Principal, nonce : Text) : Result<Types.User> {
      switch (guard.refuseUser(caller)) { case null {}; case (?problem) return #Err problem };
      switch (Users.checkRoom(store, caller)) { case null {}; case (?problem) return #Err problem };
      let now = Clock.now();
      switch (Users.proveNonce(store, caller, nonce, now)) {
        case (#Err problem) #Err problem;
        case (#Ok) Users.register(store, caller, now);
      };
    };

    public func proveNonce(caller : Principal, nonce : Text) : Types.UnitResult = switch (guard.refuseUser(caller)) {
      case (?problem) #Err problem;
      case null Users.proveNonce(store, caller, nonce, Clock.now());
    };

    public func verifyNonce(nonce : Text) : Result<Principal> = Users.verifyNonce(store, nonce, Clock.now());

    /// Binds the caller to their web account; the self-capsule, if there is one, notes it too.
    public func markBound(caller : Principal) : Types.UnitResult {
      switch (guard.refuseUser(caller)) { case null {}; case (?problem) return #Err problem };
      switch (Users.checkRoom(store, caller)) { case null {}; case (?problem) return #Err problem };
      switch (Store.selfCapsule(store, caller)) {
        case null {};
        case (?capsule) {
          let marked = guard.changing(caller, #Ok capsule, func(own, _) { own.bound_to_web2 := true; #Ok });
          switch marked { case (#Ok) {}; case (#Err _) return marked };
        };
      };
      Users.markBound(store, caller, Clock.now());
    };

    public func getUser(caller : Principal) : ?Types.User = store.users.get(caller);

    public func listUsers(caller : Principal) : [Types.User] = Users.visibleTo(store, caller);

    // ---- Capsules ----

    func newCapsule(caller : Principal, subject : Types.PersonRef) : Result<Capsule> {
      switch (guard.refuseNewCapsule(caller)) {
        case (?problem) #Err problem;
        case null Capsules.create(store, caller, subject, Clock.now());
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

    public func getCapsule(caller : Principal, id : Text) : Result<Types.Capsule> {
      guard.readable(caller, id, Capsules.view);
    };

    public func getCapsuleInfo(
      caller : Principal,
      id : Text,
    ) : Result<Types.CapsuleInfo> = switch (guard.capsule(caller, id)) {
      case (#Err problem) #Err problem;
      case (#Ok capsule) #Ok(Capsules.info(capsule, caller));
    };

    /// The capsules that the caller owns or controls.
    public func listMyCapsules(caller : Principal) : [Types.CapsuleHeader] = switch (store.capsules_of.get(caller)) {
      case (?capsules) capsules.values().map(Capsules.header).toArray();
      case null [];
    };

    // ---- Memories ----

    func memoryHome(caller : Principal, id : Text) : Result<Capsule> = switch (guard.memory(caller, id)) {
      case (#Ok(capsule, _, _)) #Ok capsule;
      case (#Err problem) #Err problem;
    };

    public func addMemory(caller : Principal, data : Types.MemoryData, memory : Types.NewMemory) : Types.TextResult {
      guard.changingTo<Text>(
        caller,
        guard.namedOrOwn(caller, memory.capsule_id),
        func(capsule, now) {
          Uploads.sweep(store, now);
          Uploads.freeExpired(store, caller, now);
          Memories.add(store, capsule, newId("mem"), data, memory, now);
        },
      );
    };

    public func getMemory(caller : Principal, id : Text) : Result<Types.Memory> = switch (guard.memory(caller, id)) {
      case (#Ok(_, memory, reader)) MemoryViews.view(store, memory, reader);
      case (#Err problem) #Err problem;
    };

    public func updateMemory(caller : Principal, id : Text, change : Types.MemoryUpdate) : Types.UnitResult {
      guard.changing(
        caller,
        memoryHome(caller, id),
        func(capsule, now) {
          let ?memory = capsule.memories.get(id) else return #Err(#NotFound { kind = "memory"; id });
          Memories.update(store, capsule, memory, change, now);
        },
      );
    };

    public func deleteMemory(caller : Principal, id : Text) : Types.UnitResult {
      guard.removing(
        caller,
        memoryHome(caller, id),
        func(capsule, now) { Memories.delete(store, capsule, id, now); #Ok },
      );
    };

    /// A capsule in which the caller may read nothing is listed like one that isn't there.
    public func listMemories(
      caller : Principal,
      capsuleId : ?Text,
      request : Types.PageRequest,
    ) : Result<Types.MemoryPage> {
      let capsule = switch capsuleId {
        case (?id) switch (store.capsules.get(id)) {
          case (?named) if (not Access.mayWrite(named, caller)) named else switch (guard.present(named)) {
            case (#Ok here) here;
            case (#Err moved) return #Err moved;
          };
          case null return #Ok(MemoryViews.emptyPage());
        };
        case null switch (guard.ownCapsule(caller)) { case (#Ok own) own; case (#Err problem) return #Err problem };
      };
      #Ok(MemoryViews.list(capsule, guard.reader(capsule, caller), request));
    };

    public func readMemoryChunk(
      caller : Principal,
      id : Text,
      index : Nat32,
    ) : Result<Blob> = switch (guard.memory(caller, id)) {
      case (#Ok(_, memory, _)) Export.chunkOf(store, memory, index);
      case (#Err problem) #Err problem;
    };

    // ---- Uploads ----

    public func beginMemoryUpload(caller : Principal, request : Types.UploadRequest) : Result<Types.UploadSession> {
      switch (guard.writable(caller, guard.namedOrOwn(caller, request.memory.capsule_id))) {
        case (#Ok capsule) Uploads.begin(store, capsule, newId("mem"), caller, request, Clock.now());
        case (#Err problem) #Err problem;
      };
    };

    public func putMemoryUploadChunk(
      caller : Principal,
      id : Nat64,
      index : Nat32,
      bytes : Blob,
      sha256 : Blob,
    ) : Types.UnitResult {
      let upload = switch (guard.upload(caller, id)) {
        case (#Ok upload) upload;
        case (#Err problem) return #Err problem;
      };
      // A capsule that takes no writes could never make a memory of the chunk.
      switch (guard.writable(caller, #Ok(upload.capsule))) {
        case (#Ok _) Uploads.putChunk(store, upload, index, bytes, sha256, Clock.now());
        case (#Err problem) #Err problem;
      };
    };

    public func getMemoryUpload(
      caller : Principal,
      id : Nat64,
    ) : Result<Types.UploadSession> = switch (guard.upload(caller, id)) {
      case (#Ok upload) #Ok(Uploads.view(upload));
      case (#Err problem) #Err problem;
    };

    public func commitMemoryUpload(
      caller : Principal,
      id : Nat64,
    ) : Types.TextResult = switch (guard.upload(caller, id)) {
      case (#Err problem) #Err problem;
      case (#Ok upload) {
        if (upload.committed) return #Ok(upload.memory_id);
        guard.changingTo<Text>(caller, #Ok(upload.capsule), func(_, now) = Uploads.commit(store, upload, now));
      };
    };

    public func abortMemoryUpload(
      caller : Principal,
      id : Nat64,
    ) : Types.UnitResult = switch (guard.upload(caller, id)) {
      case (#Ok upload) { Uploads.abort(store, upload); #Ok };
      case (#Err problem) #Err problem;
    };

    // ---- Connections, of the caller's self-capsule ----

    public func addConnection(caller : Principal, peer : Types.PersonRef) : Types.UnitResult {
      guard.changing(
        caller,
        guard.ownCapsule(caller),
        func(capsule, now) = Connections.add(capsule, caller, peer, now),
      );
    };

    public func updateConnectionStatus(
      caller : Principal,
      peer : Types.PersonRef,
      status : Types.ConnectionStatus,
    ) : Types.UnitResult {
      guard.changing(
        caller,
        guard.ownCapsule(caller),
        func(capsule, now) {
          let result = Connections.updateStatus(capsule, peer, status, now);
          Executors.noteConnection(capsule, peer, now);
          result;
        },
      );
    };

    public func removeConnection(caller : Principal, peer : Types.PersonRef) : Types.UnitResult {
      guard.removing(caller, guard.ownCapsule(caller), func(capsule, now) = Connections.remove(capsule, peer, now));
    };

    public func listConnections(caller : Principal) : Result<[Types.Connection]> = switch (guard.ownCapsule(caller)) {
      case (#Ok capsule) #Ok(Connections.list(capsule));
      case (#Err problem) #Err problem;
    };

    public func createConnectionGroup(caller : Principal, group : Types.NewConnectionGroup) : Types.TextResult {
      guard.changingTo<Text>(
        caller,
        guard.ownCapsule(caller),
        func(capsule, now) = Connections.addGroup(capsule, newId("group"), group, now),
      );
    };

    public func updateConnectionGroup(
      caller : Principal,
      id : Text,
      change : Types.ConnectionGroupUpdate,
    ) : Types.UnitResult {
      guard.changing(
        caller,
        guard.ownCapsule(caller),
        func(capsule, now) = Connections.updateGroup(capsule, id, change, now),
      );
    };

    public func deleteConnectionGroup(caller : Principal, id : Text) : Types.UnitResult {
      guard.removing(caller, guard.ownCapsule(caller), func(capsule, _) = Connections.removeGroup(capsule, id));
    };

    public func listConnectionGroups(
      caller : Principal
    ) : Result<[Types.ConnectionGroup]> = switch (guard.ownCapsule(caller)) {
      case (#Ok capsule) #Ok(Connections.listGroups(capsule));
      case (#Err problem) #Err problem;
    };

    // ---- Galleries ----

    func galleryHome(caller : Principal, id : Text) : Result<Capsule> = switch (guard.gallery(caller, id)) {
      case (#Ok(capsule, _, _)) #Ok capsule;
      case (#Err problem) #Err problem;
    };

    public func storeGallery(caller : Principal, data : Types.GalleryData) : Result<Types.Gallery> {
      guard.changingTo<Types.Gallery>(
        caller,
        guard.ownCapsule(caller),
        func(capsule, now) = Galleries.add(store, capsule, newId("gal"), caller, data, now),
      );
    };

    public func getMyGalleries(caller : Principal) : [Types.Gallery] = getUserGalleries(caller, caller);

    /// The galleries of a person's self-capsule that the caller may read.
    public func getUserGalleries(
      caller : Principal,
      person : Principal,
    ) : [Types.Gallery] = switch (Store.selfCapsule(store, person)) {
      case (?capsule) Galleries.visibleTo(capsule, guard.reader(capsule, caller));
      case null [];
    };

    public func getGallery(caller : Principal, id : Text) : Result<Types.Gallery> = switch (guard.gallery(caller, id)) {
      case (#Ok(capsule, gallery, reader)) #Ok(Galleries.shown(capsule, gallery, reader));
      case (#Err problem) #Err problem;
    };

    public func updateGallery(caller : Principal, id : Text, change : Types.GalleryUpdate) : Result<Types.Gallery> {
      guard.changingTo<Types.Gallery>(
        caller,
        galleryHome(caller, id),
        func(capsule, now) {
          let ?old = capsule.galleries.get(id) else return #Err(#NotFound { kind = "gallery"; id });
          Galleries.update(store, capsule, old.record, change, now);
        },
      );
    };

    public func deleteGallery(caller : Principal, id : Text) : Types.UnitResult {
      guard.removing(caller, galleryHome(caller, id), func(capsule, _) { Galleries.drop(store, capsule, id); #Ok });
    };

    // ---- Quotas ----

    /// What the caller uses, and how much of it they may. What expired uploads held counts until it is free again.
    public func getMyQuota(caller : Principal) : Result<Types.QuotaStatus> = switch (guard.refuseAccount(caller)) {
      case (?problem) #Err problem;
      case null #Ok(Quotas.status(store.books, caller));
    };

    // ---- The canister ----

    /// Compares the books about stored bytes with what memories, uploads and the import hold, and the trees with the items;
    /// for controllers.
    public func auditContents(caller : Principal) : Result<Types.ContentsAudit> {
      if (not caller.isController()) return #Err(#Unauthorized "only controllers of this canister audit its contents");
      let books = Contents.audit(store.contents, Store.heldChunks(store).concat(host.staged()));
      #Ok { books with manifests_consistent = Manifest.areTrue(store.nodes, host.capsules()) };
    };

    public func apiVersion() : Text = ApiVersion.current;
  };
};
