/// The endpoints of the capsule API, the same in every canister that includes them: names and types as in the
/// contracts, each passing its caller on to the service. Owns no rule and no state.
import CapsuleService "CapsuleService";
import Types "Types";

mixin (service : CapsuleService.CapsuleService) {
  // ---- Registration and identity ----
  public shared ({ caller }) func register() : async Types.Result<Types.User> { service.register(caller) };

  public shared ({ caller }) func register_with_nonce(nonce : Text) : async Types.Result<Types.User> {
    service.registerWithNonce(caller, nonce);
  };

  public shared ({ caller }) func prove_nonce(nonce : Text) : async Types.UnitResult {
    service.proveNonce(caller, nonce);
  };

  public shared query func verify_nonce(nonce : Text) : async Types.Result<Principal> { service.verifyNonce(nonce) };

  public shared ({ caller }) func mark_bound() : async Types.UnitResult { service.markBound(caller) };

  public shared query ({ caller }) func whoami() : async Principal { caller };

  public shared query ({ caller }) func get_user() : async ?Types.User { service.getUser(caller) };

  public shared query ({ caller }) func list_users() : async [Types.User] { service.listUsers(caller) };

  // ---- Capsules ----
  public shared ({ caller }) func create_capsule(subject : Types.PersonRef) : async Types.Result<Types.CapsuleHeader> {
    switch (await* service.ready(caller)) { case null {}; case (?problem) return #Err problem };
    service.createCapsule(caller, subject);
  };

  public shared ({ caller }) func register_capsule() : async Types.Result<{ capsule_id : Text; is_new : Bool }> {
    switch (await* service.ready(caller)) { case null {}; case (?problem) return #Err problem };
    service.registerCapsule(caller);
  };

  public shared query ({ caller }) func get_capsule(id : Text) : async Types.Result<Types.Capsule> {
    service.getCapsule(caller, id);
  };

  public shared query ({ caller }) func get_capsule_info(id : Text) : async Types.Result<Types.CapsuleInfo> {
    service.getCapsuleInfo(caller, id);
  };

  public shared query ({ caller }) func list_my_capsules() : async [Types.CapsuleHeader] {
    service.listMyCapsules(caller);
  };

  // ---- Events that access rules wait for ----
  public shared ({ caller }) func record_capsule_event(
    id : Text,
    event : Types.AccessEvent,
  ) : async Types.Result<Types.EventOpening> {
    service.events.record(caller, id, event);
  };

  public shared ({ caller }) func revoke_capsule_event(id : Text, event : Types.AccessEvent) : async Types.UnitResult {
    service.events.revoke(caller, id, event);
  };

  public shared query ({ caller }) func list_capsule_events(id : Text) : async Types.Result<[Types.RecordedEvent]> {
    service.events.list(caller, id);
  };

  public shared ({ caller }) func add_executor(id : Text, person : Principal) : async Types.UnitResult {
    service.events.addExecutor(caller, id, person);
  };

  public shared ({ caller }) func remove_executor(id : Text, person : Principal) : async Types.UnitResult {
    service.events.removeExecutor(caller, id, person);
  };

  public shared ({ caller }) func set_event_wait(
    id : Text,
    kind : Types.EventKind,
    wait_ns : ?Nat64,
  ) : async Types.UnitResult {
    service.events.setWait(caller, id, kind, wait_ns);
  };

  public shared query ({ caller }) func get_event_rules(id : Text) : async Types.Result<Types.EventRules> {
    service.events.rules(caller, id);
  };

  // ---- Memories ----
  public shared ({ caller }) func add_memory_to_capsule(
    data : Types.MemoryData,
    memory : Types.NewMemory,
  ) : async Types.TextResult {
    switch (await* service.ready(caller)) { case null {}; case (?problem) return #Err problem };
    service.addMemory(caller, data, memory);
  };

  public shared query ({ caller }) func get_memory_from_capsule(id : Text) : async Types.Result<Types.Memory> {
    service.getMemory(caller, id);
  };

  public shared ({ caller }) func update_memory_in_capsule(
    id : Text,
    change : Types.MemoryUpdate,
  ) : async Types.UnitResult {
    service.updateMemory(caller, id, change);
  };

  public shared ({ caller }) func delete_memory_from_capsule(id : Text) : async Types.UnitResult {
    service.deleteMemory(caller, id);
  };

  public shared query ({ caller }) func list_capsule_memories(
    capsule_id : ?Text,
    request : Types.PageRequest,
  ) : async Types.Result<Types.MemoryPage> {
    service.listMemories(caller, capsule_id, request);
  };

  public shared query ({ caller }) func read_memory_chunk(id : Text, index : Nat32) : async Types.Result<Blob> {
    service.readMemoryChunk(caller, id, index);
  };

  public shared ({ caller }) func begin_memory_upload(
    request : Types.UploadRequest
  ) : async Types.Result<Types.UploadSession> {
    switch (await* service.ready(caller)) { case null {}; case (?problem) return #Err problem };
    service.beginMemoryUpload(caller, request);
  };

  public shared ({ caller }) func put_memory_upload_chunk(
    upload_id : Nat64,
    index : Nat32,
    bytes : Blob,
    sha256 : Blob,
  ) : async Types.UnitResult {
    service.putMemoryUploadChunk(caller, upload_id, index, bytes, sha256);
  };

  public shared query ({ caller }) func get_memory_upload(upload_id : Nat64) : async Types.Result<Types.UploadSession> {
    service.getMemoryUpload(caller, upload_id);
  };

  public shared ({ caller }) func commit_memory_upload(upload_id : Nat64) : async Types.TextResult {
    service.commitMemoryUpload(caller, upload_id);
  };

  public shared ({ caller }) func abort_memory_upload(upload_id : Nat64) : async Types.UnitResult {
    service.abortMemoryUpload(caller, upload_id);
  };

  // ---- Connections ----
  public shared ({ caller }) func add_connection(peer : Types.PersonRef) : async Types.UnitResult {
    service.addConnection(caller, peer);
  };

  public shared ({ caller }) func update_connection_status(
    peer : Types.PersonRef,
    status : Types.ConnectionStatus,
  ) : async Types.UnitResult {
    service.updateConnectionStatus(caller, peer, status);
  };

  public shared ({ caller }) func remove_connection(peer : Types.PersonRef) : async Types.UnitResult {
    service.removeConnection(caller, peer);
  };

  public shared query ({ caller }) func list_connections() : async Types.Result<[Types.Connection]> {
    service.listConnections(caller);
  };

  public shared ({ caller }) func create_connection_group(group : Types.NewConnectionGroup) : async Types.TextResult {
    switch (await* service.ready(caller)) { case null {}; case (?problem) return #Err problem };
    service.createConnectionGroup(caller, group);
  };

  public shared ({ caller }) func update_connection_group(
    id : Text,
    change : Types.ConnectionGroupUpdate,
  ) : async Types.UnitResult {
    service.updateConnectionGroup(caller, id, change);
  };

  public shared ({ caller }) func delete_connection_group(id : Text) : async Types.UnitResult {
    service.deleteConnectionGroup(caller, id);
  };

  public shared query ({ caller }) func list_connection_groups() : async Types.Result<[Types.ConnectionGroup]> {
    service.listConnectionGroups(caller);
  };

  // ---- Galleries ----
  public shared ({ caller }) func store_gallery_forever(
    gallery : Types.GalleryData
  ) : async Types.Result<Types.Gallery> {
    switch (await* service.ready(caller)) { case null {}; case (?problem) return #Err problem };
    service.storeGallery(caller, gallery);
  };

  public shared query ({ caller }) func get_my_galleries() : async [Types.Gallery] { service.getMyGalleries(caller) };

  public shared query ({ caller }) func get_user_galleries(person : Principal) : async [Types.Gallery] {
    service.getUserGalleries(caller, person);
  };

  public shared query ({ caller }) func get_gallery_by_id(id : Text) : async Types.Result<Types.Gallery> {
    service.getGallery(caller, id);
  };

  public shared ({ caller }) func update_gallery(
    id : Text,
    change : Types.GalleryUpdate,
  ) : async Types.Result<Types.Gallery> {
    service.updateGallery(caller, id, change);
  };

  public shared ({ caller }) func delete_gallery(id : Text) : async Types.UnitResult {
    service.deleteGallery(caller, id);
  };

  // ---- Quotas ----
  public shared query ({ caller }) func get_my_quota() : async Types.Result<Types.QuotaStatus> {
    service.getMyQuota(caller);
  };

  // ---- The canister ----
  public shared query ({ caller }) func audit_contents() : async Types.Result<Types.ContentsAudit> {
    service.auditContents(caller);
  };

  public shared query func get_api_version() : async Text { service.apiVersion() };
};
