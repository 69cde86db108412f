/// The endpoints of the import and of what it left, as in `personal.did`, each passing its caller on. Owns no rule
/// and no state.
import Capsule "../capsule/Types";
import Clock "../capsule/Clock";
import Import "Import";
import Types "Types";

mixin (imports : Import.Import) {
  // ---- Import ----
  public shared ({ caller }) func begin_import() : async Capsule.Result<Types.ImportSession> {
    imports.begin(caller, Clock.now());
  };

  public shared ({ caller }) func import_batch(batch : Types.ImportBatch) : async Capsule.Result<Types.ImportOutcome> {
    imports.batch(caller, batch, Clock.now());
  };

  public shared ({ caller }) func put_memory_chunk(
    session : Nat64,
    memory_id : Text,
    index : Nat32,
    bytes : Blob,
    sha256 : Blob,
  ) : async Capsule.UnitResult {
    imports.putChunks(caller, session, [{ memory_id; index; bytes; sha256 }], Clock.now());
  };

  public shared ({ caller }) func put_memory_chunks(
    session : Nat64,
    chunks : [Types.MemoryChunk],
  ) : async Capsule.UnitResult {
    imports.putChunks(caller, session, chunks, Clock.now());
  };

  public shared ({ caller }) func put_items(session : Nat64, items : [Capsule.ExportItem]) : async Capsule.UnitResult {
    imports.putItems(caller, session, items, Clock.now());
  };

  public shared ({ caller }) func commit_memory(
    session : Nat64,
    manifest : Capsule.MemoryManifest,
  ) : async Capsule.UnitResult {
    imports.commit(caller, session, [manifest], Clock.now());
  };

  public shared ({ caller }) func commit_memories(
    session : Nat64,
    manifests : [Capsule.MemoryManifest],
  ) : async Capsule.UnitResult {
    imports.commit(caller, session, manifests, Clock.now());
  };

  public shared ({ caller }) func remove_items(session : Nat64, refs : [Capsule.ItemRef]) : async Capsule.UnitResult {
    imports.removeItems(caller, session, refs, Clock.now());
  };

  public shared query ({ caller }) func get_import_status(
    page : Capsule.PageRequest
  ) : async Capsule.Result<Types.ImportStatus> {
    imports.status(caller, page, Clock.now());
  };

  public shared query ({ caller }) func list_import_entries(
    after : ?Capsule.ItemRef,
    limit : ?Nat32,
  ) : async Capsule.Result<Capsule.ManifestPage> {
    imports.entries(caller, after, limit);
  };

  public shared ({ caller }) func finalize_import(session : Nat64) : async Capsule.Result<Types.FinalizedImport> {
    imports.finalize(caller, session, Clock.now());
  };

  // ---- What the import left here ----
  public shared query ({ caller }) func get_manifest() : async Capsule.Result<Types.CertifiedManifest> {
    imports.manifest(caller, Clock.now());
  };

  public shared ({ caller }) func close_for_undo() : async Capsule.Result<Nat64> {
    imports.closeForUndo(caller, Clock.now());
  };

  public shared query func get_personal_info() : async Types.PersonalInfo { imports.info(Clock.now()) };

  // ---- A copy of everything, for the owner ----
  public shared query ({ caller }) func get_items(
    refs : [Capsule.ItemRef]
  ) : async Capsule.Result<[Capsule.ExportItem]> {
    imports.items(caller, refs);
  };

  public shared query ({ caller }) func get_memory_manifests(
    memory_ids : [Text]
  ) : async Capsule.Result<[Capsule.MemoryManifest]> {
    imports.memoryManifests(caller, memory_ids);
  };
};
