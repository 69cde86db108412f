/// The personal canister: one capsule, of one owner, that came by an import. The actor only passes its callers on; the
/// capsule API is the backend's own (`capsule/CapsuleService`), the import is in `Import`.
import Principal "mo:core/Principal";
import Access "../capsule/Access";
import ApiVersion "../capsule/ApiVersion";
import Capsules "../capsule/Capsules";
import CapsuleService "../capsule/CapsuleService";
import Store "../capsule/Store";
import T "../capsule/Types";
import Import "Import";
import ImportState "ImportState";
import Types "Types";

shared persistent actor class Personal(init : Types.PersonalInit) = this {
  // ---- State (the argument of an upgrade changes nothing of it) --------------------------------------------------------
  let owner = init.owner;
  let backend = init.backend;
  let name = init.name;
  let store = Store.empty();
  let imported = ImportState.empty(init.owner, init.limits);

  transient let self = func() : Principal = Principal.fromActor(this);
  transient let imports = Import.Import(store, imported, { owner; backend; self });

  // ---- Whose canister this is ------------------------------------------------------------------------------------------
  transient let unfinished : T.CapsuleError = #Locked { reason = "import in progress"; until = null };

  func refuseOthers(caller : Principal) : ?T.CapsuleError {
    if (caller == owner or Access.mayWrite(imported.capsule, caller)) null else ?#Unauthorized "this canister belongs to someone else";
  };

  func refuseUnfinished() : ?T.CapsuleError = if (imported.final == null) ?unfinished else null;

  transient let host : CapsuleService.Host = {
    self;
    refuseUser = func(caller) = switch (refuseOthers(caller)) { case null refuseUnfinished(); case problem problem };
    refuseNewCapsule = func(caller) = switch (refuseOthers(caller), refuseUnfinished()) {
      case (null, null) ?#AlreadyExists { kind = "capsule"; id = imported.capsule.id };
      case (null, problem) problem;
      case (problem, _) problem;
    };
    refuseWrite = func(_) = refuseUnfinished();
  };
  transient let api = CapsuleService.CapsuleService(store, host);

  /// Drops what would be refused anyway, before it costs anything; each method checks its callers itself.
  system func inspect({
    caller : Principal;
    msg : {
      #begin_import : Any; #put_memory_chunk : Any; #put_memory_chunks : Any; #put_items : Any; #commit_memory : Any;
      #commit_memories : Any; #remove_items : Any; #finalize_import : Any;
      #get_import_status : Any; #list_import_entries : Any; #get_manifest : Any; #get_personal_info : Any;
      #register : Any; #register_with_nonce : Any; #prove_nonce : Any; #verify_nonce : Any; #mark_bound : Any;
      #whoami : Any; #get_user : Any; #list_users : Any;
      #create_capsule : Any; #register_capsule : Any; #get_capsule : Any; #get_capsule_info : Any;
      #list_my_capsules : Any; #record_capsule_event : Any;
      #add_memory_to_capsule : Any; #get_memory_from_capsule : Any; #update_memory_in_capsule : Any;
      #delete_memory_from_capsule : Any; #list_capsule_memories : Any; #read_memory_chunk : Any;
      #begin_memory_upload : Any; #put_memory_upload_chunk : Any; #get_memory_upload : Any;
      #commit_memory_upload : Any; #abort_memory_upload : Any;
      #add_connection : Any; #update_connection_status : Any; #remove_connection : Any; #list_connections : Any;
      #create_connection_group : Any; #update_connection_group : Any; #delete_connection_group : Any;
      #list_connection_groups : Any;
      #store_gallery_forever : Any; #get_my_galleries : Any; #get_user_galleries : Any; #get_gallery_by_id : Any;
      #update_gallery : Any; #delete_gallery : Any; #get_api_version : Any;
    };
  }) : Bool {
    if (caller.isAnonymous()) return false;
    switch msg {
      case (#begin_import _ or #put_memory_chunk _ or #put_memory_chunks _ or #put_items _) caller.isController();
      case (#commit_memory _ or #commit_memories _ or #remove_items _ or #finalize_import _) caller.isController();
      case _ true;
    };
  };

  system func postupgrade() { imports.certify() };

  // ---- Registration and identity ---------------------------------------------------------------------------------------
  public shared ({ caller }) func register() : async T.Result<T.User> { api.register(caller) };
  public shared ({ caller }) func register_with_nonce(nonce : Text) : async T.Result<T.User> { api.registerWithNonce(caller, nonce) };
  public shared ({ caller }) func prove_nonce(nonce : Text) : async T.UnitResult { api.proveNonce(caller, nonce) };
  public query func verify_nonce(nonce : Text) : async T.Result<Principal> { api.verifyNonce(nonce) };
  public shared ({ caller }) func mark_bound() : async T.UnitResult { api.markBound(caller) };
  public query ({ caller }) func whoami() : async Principal { caller };
  public query ({ caller }) func get_user() : async ?T.User { api.getUser(caller) };
  public query ({ caller }) func list_users() : async [T.User] { api.listUsers(caller) };

  // ---- Capsules --------------------------------------------------------------------------------------------------------
  /// There is one capsule here: its owner gets that, whoever it is asked for.
  public shared ({ caller }) func create_capsule(subject : T.PersonRef) : async T.Result<T.CapsuleHeader> {
    if (caller == owner and ImportState.hasCapsule(imported)) #Ok(Capsules.header(imported.capsule)) else api.createCapsule(caller, subject);
  };
  public shared ({ caller }) func register_capsule() : async T.Result<{ capsule_id : Text; is_new : Bool }> { api.registerCapsule(caller) };
  public query ({ caller }) func get_capsule(id : Text) : async T.Result<T.Capsule> { api.getCapsule(caller, id) };
  public query ({ caller }) func get_capsule_info(id : Text) : async T.Result<T.CapsuleInfo> { api.getCapsuleInfo(caller, id) };
  public query ({ caller }) func list_my_capsules() : async [T.CapsuleHeader] { api.listMyCapsules(caller) };
  public shared ({ caller }) func record_capsule_event(id : Text, event : T.AccessEvent) : async T.UnitResult { api.recordCapsuleEvent(caller, id, event) };

  // ---- Memories --------------------------------------------------------------------------------------------------------
  public shared ({ caller }) func add_memory_to_capsule(data : T.MemoryData, memory : T.NewMemory) : async T.TextResult { api.addMemory(caller, data, memory) };
  public query ({ caller }) func get_memory_from_capsule(id : Text) : async T.Result<T.Memory> { api.getMemory(caller, id) };
  public shared ({ caller }) func update_memory_in_capsule(id : Text, change : T.MemoryUpdate) : async T.UnitResult { api.updateMemory(caller, id, change) };
  public shared ({ caller }) func delete_memory_from_capsule(id : Text) : async T.UnitResult { api.deleteMemory(caller, id) };
  public query ({ caller }) func list_capsule_memories(capsule_id : ?Text, page : T.PageRequest) : async T.Result<T.MemoryPage> { api.listMemories(caller, capsule_id, page) };
  public query ({ caller }) func read_memory_chunk(id : Text, index : Nat32) : async T.Result<Blob> { api.readMemoryChunk(caller, id, index) };
  public shared ({ caller }) func begin_memory_upload(request : T.UploadRequest) : async T.Result<T.UploadSession> { api.beginMemoryUpload(caller, request) };
  public shared ({ caller }) func put_memory_upload_chunk(upload_id : Nat64, index : Nat32, bytes : Blob, sha256 : Blob) : async T.UnitResult { api.putMemoryUploadChunk(caller, upload_id, index, bytes, sha256) };
  public query ({ caller }) func get_memory_upload(id : Nat64) : async T.Result<T.UploadSession> { api.getMemoryUpload(caller, id) };
  public shared ({ caller }) func commit_memory_upload(id : Nat64) : async T.TextResult { api.commitMemoryUpload(caller, id) };
  public shared ({ caller }) func abort_memory_upload(id : Nat64) : async T.UnitResult { api.abortMemoryUpload(caller, id) };

  // ---- Connections -----------------------------------------------------------------------------------------------------
  public shared ({ caller }) func add_connection(peer : T.PersonRef) : async T.UnitResult { api.addConnection(caller, peer) };
  public shared ({ caller }) func update_connection_status(peer : T.PersonRef, status : T.ConnectionStatus) : async T.UnitResult { api.updateConnectionStatus(caller, peer, status) };
  public shared ({ caller }) func remove_connection(peer : T.PersonRef) : async T.UnitResult { api.removeConnection(caller, peer) };
  public query ({ caller }) func list_connections() : async T.Result<[T.Connection]> { api.listConnections(caller) };
  public shared ({ caller }) func create_connection_group(group : T.NewConnectionGroup) : async T.TextResult { api.createConnectionGroup(caller, group) };
  public shared ({ caller }) func update_connection_group(id : Text, change : T.ConnectionGroupUpdate) : async T.UnitResult { api.updateConnectionGroup(caller, id, change) };
  public shared ({ caller }) func delete_connection_group(id : Text) : async T.UnitResult { api.deleteConnectionGroup(caller, id) };
  public query ({ caller }) func list_connection_groups() : async T.Result<[T.ConnectionGroup]> { api.listConnectionGroups(caller) };

  // ---- Galleries -------------------------------------------------------------------------------------------------------
  public shared ({ caller }) func store_gallery_forever(gallery : T.GalleryData) : async T.Result<T.Gallery> { api.storeGallery(caller, gallery) };
  public query ({ caller }) func get_my_galleries() : async [T.Gallery] { api.getMyGalleries(caller) };
  public query ({ caller }) func get_user_galleries(person : Principal) : async [T.Gallery] { api.getUserGalleries(caller, person) };
  public query ({ caller }) func get_gallery_by_id(id : Text) : async T.Result<T.Gallery> { api.getGallery(caller, id) };
  public shared ({ caller }) func update_gallery(id : Text, change : T.GalleryUpdate) : async T.Result<T.Gallery> { api.updateGallery(caller, id, change) };
  public shared ({ caller }) func delete_gallery(id : Text) : async T.UnitResult { api.deleteGallery(caller, id) };

  public query func get_api_version() : async Text { api.apiVersion() };

  // ---- Import ----------------------------------------------------------------------------------------------------------
  public shared ({ caller }) func begin_import() : async T.Result<Types.ImportSession> { imports.begin(caller, CapsuleService.time()) };
  public shared ({ caller }) func put_memory_chunk(session : Nat64, memory_id : Text, index : Nat32, bytes : Blob, sha256 : Blob) : async T.UnitResult { imports.putChunks(caller, session, [{ memory_id; index; bytes; sha256 }], CapsuleService.time()) };
  public shared ({ caller }) func put_memory_chunks(session : Nat64, chunks : [Types.MemoryChunk]) : async T.UnitResult { imports.putChunks(caller, session, chunks, CapsuleService.time()) };
  public shared ({ caller }) func put_items(session : Nat64, items : [T.ExportItem]) : async T.UnitResult { imports.putItems(caller, session, items, CapsuleService.time()) };
  public shared ({ caller }) func commit_memory(session : Nat64, manifest : T.MemoryManifest) : async T.UnitResult { imports.commit(caller, session, [manifest], CapsuleService.time()) };
  public shared ({ caller }) func commit_memories(session : Nat64, manifests : [T.MemoryManifest]) : async T.UnitResult { imports.commit(caller, session, manifests, CapsuleService.time()) };
  public shared ({ caller }) func remove_items(session : Nat64, refs : [T.ItemRef]) : async T.UnitResult { imports.removeItems(caller, session, refs, CapsuleService.time()) };
  public query ({ caller }) func get_import_status(page : T.PageRequest) : async T.Result<Types.ImportStatus> { imports.status(caller, page, CapsuleService.time()) };
  public query ({ caller }) func list_import_entries(after : ?T.ItemRef, limit : ?Nat32) : async T.Result<T.ManifestPage> { imports.entries(caller, after, limit) };
  public shared ({ caller }) func finalize_import(session : Nat64) : async T.Result<Types.FinalizedImport> { imports.finalize(caller, session, CapsuleService.time()) };

  // ---- What the import left here ---------------------------------------------------------------------------------------
  public query ({ caller }) func get_manifest() : async T.Result<Types.CertifiedManifest> { imports.manifest(caller, CapsuleService.time()) };
  public query func get_personal_info() : async Types.PersonalInfo {
    {
      owner;
      backend;
      name;
      api_version = ApiVersion.current;
      capsule_id = if (ImportState.hasCapsule(imported)) ?imported.capsule.id else null;
      import_state = ImportState.currentState(imported, CapsuleService.time());
    };
  };
};
