/// The import: who may, in which session, and what is left to do. Operators import, until the canister is open to its
/// owner; the owner may look, and the backend at the manifest. The work itself is done by `ImportItems` and
/// `ImportContents`.
import CertifiedData "mo:core/CertifiedData";
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import ApiVersion "../capsule/ApiVersion";
import Capsule "../capsule/Types";
import Export "../capsule/Export";
import Galleries "../capsule/Galleries";
import CapsuleLimits "../capsule/Limits";
import Heap "../capsule/Heap";
import Manifest "../capsule/Manifest";
import MerkleTree "../capsule/MerkleTree";
import Pages "../capsule/Pages";
import Quotas "../capsule/Quotas";
import Store "../capsule/Store";
import Validate "../capsule/Validate";
import Beside "Beside";
import ImportContents "ImportContents";
import ImportItems "ImportItems";
import ImportState "ImportState";
import Types "Types";

module {
  type Result<T> = Capsule.Result<T>;

  /// Who has to do with this canister, and what it is called.
  public type Parties = {
    owner : () -> Principal;
    backend : () -> Principal;
    name : ?Text;
    self : () -> Principal;
    /// Whether the canister is its owner's already.
    isOpen : () -> Bool;
    /// Why nothing is imported now, or null.
    refusal : () -> ?Capsule.CapsuleError;
  };

  /// Chunks that one page of `get_import_status` lists at most, apart from those of its last memory.
  let listedChunks = 20_000;

  public class Import(store : Store.Store, state : ImportState.State, parties : Parties) {

    let isFinal : Capsule.CapsuleError = #Locked { reason = "the import is final"; until = null };
    let isOpen : Capsule.CapsuleError = #Locked { reason = "the canister is its owner's"; until = null };

    // ---- Who may ----

    /// Controllers; the owner only when nobody else who imported is one: what two bring would not be what either counts on.
    func refuseImport(caller : Principal) : ?Capsule.CapsuleError {
      if (caller.isAnonymous() or not caller.isController()) {
        return ?#Unauthorized "only controllers of this canister import";
      };
      if (caller != parties.owner() or not ImportState.isOperated(state)) return parties.refusal();
      ?#Unauthorized "an operator imports; the owner can't change the import";
    };

    func refuseLook(caller : Principal) : ?Capsule.CapsuleError {
      if (caller == parties.owner() or caller.isController()) return null;
      ?#Unauthorized "only the owner and the controllers may look at the import";
    };

    /// Does a step of the import that adds something, unless the heap takes no more.
    func adding(caller : Principal, id : Nat64, now : Nat64, step : () -> Capsule.UnitResult) : Capsule.UnitResult {
      importing(
        caller,
        id,
        now,
        func() = switch (Quotas.checkHeap(store.books, Heap.bytes())) {
          case (?problem) #Err problem;
          case null step();
        },
      );
    };

    /// Does a step of the import in a session, which it keeps alive.
    func importing(caller : Principal, id : Nat64, now : Nat64, step : () -> Capsule.UnitResult) : Capsule.UnitResult {
      switch (refuseImport(caller)) { case null {}; case (?problem) return #Err problem };
      if (state.final != null) return #Err isFinal;
      switch (ImportState.find(state, id, now)) {
        case (#Err problem) #Err problem;
        case (#Ok session) {
          session.last_activity_at := now;
          let result = step();
          if (result == #Ok) {
            state.capsule.revision += 1;
            MerkleTree.settle(state.capsule.tree);
          };
          result;
        };
      };
    };

    func checkBatch(items : Nat) : Validate.Problem {
      Validate.most("items of a batch", CapsuleLimits.itemsPerBatch, items);
    };

    // ---- Steps ----

    /// Begins a session, or goes on with the one in progress. An import that was final isn't any more: nobody has used the
    /// canister yet, and the source may have changed since.
    public func begin(caller : Principal, now : Nat64) : Result<Types.ImportSession> {
      switch (refuseImport(caller)) { case null {}; case (?problem) return #Err problem };
      if (parties.isOpen()) return #Err isOpen;
      // What could never be finished isn't begun.
      let wanted = Nat64.toNat(state.limits.max_import_bytes);
      switch (Validate.most("bytes of all contents", CapsuleLimits.contentBytes, wanted)) {
        case null {};
        case (?problem) return #Err problem;
      };
      ImportState.reopen(state);
      if (caller != parties.owner()) state.operators.add(caller);
      ignore ImportState.begin(state, now);
      let ?session = ImportState.view(state, now) else return #Err(#NotFound { kind = "import session"; id = "" });
      #Ok session;
    };

    /// All of the chunks, or none.
    public func putChunks(
      caller : Principal,
      session : Nat64,
      chunks : [Types.MemoryChunk],
      now : Nat64,
    ) : Capsule.UnitResult {
      adding(caller, session, now, func() = ImportContents.putChunks(store, state, chunks));
    };

    /// All of the items, or none.
    public func putItems(
      caller : Principal,
      session : Nat64,
      items : [Capsule.ExportItem],
      now : Nat64,
    ) : Capsule.UnitResult {
      adding(
        caller,
        session,
        now,
        func() = switch (checkBatch(items.size())) {
          case (?problem) #Err problem;
          case null ImportItems.put(store, state, items, parties.owner());
        },
      );
    };

    /// All of the memories, or none.
    public func commit(
      caller : Principal,
      session : Nat64,
      manifests : [Capsule.MemoryManifest],
      now : Nat64,
    ) : Capsule.UnitResult {
      adding(
        caller,
        session,
        now,
        func() = switch (checkBatch(manifests.size())) {
          case (?problem) #Err problem;
          case null ImportContents.commit(store, state, manifests);
        },
      );
    };

    /// Refuses the capsule's own record.
    public func removeItems(
      caller : Principal,
      session : Nat64,
      refs : [Capsule.ItemRef],
      now : Nat64,
    ) : Capsule.UnitResult {
      importing(
        caller,
        session,
        now,
        func() = switch (checkBatch(refs.size())) {
          case (?problem) #Err problem;
          case null ImportItems.remove(store, state, refs);
        },
      );
    };

    /// What one message brings of an import, step by step: what goes, what comes, what is committed, and the end. Begins a
    /// session if none is in progress. The first step that is refused is the last; those before it stay.
    public func batch(caller : Principal, batch : Types.ImportBatch, now : Nat64) : Result<Types.ImportOutcome> {
      switch (refuseImport(caller)) { case null {}; case (?problem) return #Err problem };
      let session = switch (ImportState.view(state, now)) {
        case (?{ id; state = #Active }) id;
        case _ if (state.final != null) return #Err isFinal else switch (begin(caller, now)) {
          case (#Ok { id }) id;
          case (#Err problem) return #Err problem;
        };
      };
      let steps : [() -> Capsule.UnitResult] = [
        func() = if (batch.removed.size() == 0) #Ok else removeItems(caller, session, batch.removed, now),
        func() = if (batch.items.size() == 0) #Ok else putItems(caller, session, batch.items, now),
        func() = if (batch.chunks.size() == 0) #Ok else putChunks(caller, session, batch.chunks, now),
        func() = if (batch.commits.size() == 0) #Ok else commit(caller, session, batch.commits, now),
      ];
      for (step in steps.values()) {
        switch (step()) { case (#Ok) {}; case (#Err problem) return #Err problem };
      };
      if (not batch.finalize) return #Ok { session; final = null };
      switch (finalize(caller, session, now)) {
        case (#Ok result) #Ok { session; final = ?result };
        case (#Err problem) #Err problem;
      };
    };

    /// Ends the import. Asking again in the same session answers the same.
    public func finalize(caller : Principal, session : Nat64, now : Nat64) : Result<Types.FinalizedImport> {
      switch (state.final) {
        case (?final) if (final.session == session and refuseImport(caller) == null) return #Ok(final.result);
        case null {};
      };
      switch (importing(caller, session, now, checkComplete)) {
        case (#Ok) {};
        case (#Err problem) return #Err problem;
      };
      let manifest = Manifest.take(state.capsule, parties.self(), now);
      let result = { total_memories_imported = manifest.memories; total_size_imported = manifest.content_size };
      state.final := ?{ session; at = now; manifest; result };
      ImportState.certify(state);
      #Ok result;
    };

    func checkComplete() : Capsule.UnitResult {
      if (not ImportState.hasCapsule(state)) return #Err(#NotFound { kind = "capsule record"; id = "" });
      switch (state.pending.minEntry()) {
        case (?(id, _)) return #Err(#InvalidArgument {
          field = "session";
          reason = Nat.toText(state.pending.size()) # " memories are not committed, " # id
          # " first; commit or remove them";
        });
        case null {};
      };
      switch (Galleries.dangling(state.capsule)) {
        case (?(gallery, id)) #Err(#NotFound { kind = "memory of gallery " # gallery; id });
        case null #Ok;
      };
    };

    // ---- Looking ----

    /// The session, and a page of the memories that aren't committed yet.
    public func status(caller : Principal, request : Capsule.PageRequest, now : Nat64) : Result<Types.ImportStatus> {
      switch (refuseLook(caller)) { case null {}; case (?problem) return #Err problem };
      let wanted = Pages.size(request.limit);
      let page = List.empty<Types.PendingMemory>();
      var chunks = 0;
      var next : ?Text = null;
      label filling for ((memory_id, pending) in Pages.entriesFrom(state.pending, request.after)) {
        if (page.size() == wanted or chunks > listedChunks) {
          next := do ? { page.last()!.memory_id };
          break filling;
        };
        chunks += pending.chunks.size();
        page.add({
          memory_id;
          has_record = pending.record != null;
          chunks = pending.chunks.entries().map(func((index, { sha256 })) = { index; sha256 }).toArray();
        });
      };
      #Ok { session = ImportState.view(state, now); pending = page.toArray(); next };
    };

    /// A page of the manifest of what is there so far.
    public func entries(
      caller : Principal,
      after : ?Capsule.ItemRef,
      limit : ?Nat32,
    ) : Result<Capsule.ManifestPage> = switch (refuseLook(caller)) {
      case (?problem) #Err problem;
      case null #Ok(Manifest.entries(state.capsule, after, limit));
    };

    /// What a copy of the capsule is made of: for its owner alone, whom it shows nothing new.
    func copied<T>(caller : Principal, read : Store.Capsule -> Result<T>) : Result<T> {
      if (caller != parties.owner()) return #Err(#Unauthorized "only the owner may copy the capsule");
      read(state.capsule);
    };

    /// The items in the order of the references, or the first part of them.
    public func items(caller : Principal, refs : [Capsule.ItemRef]) : Result<[Capsule.ExportItem]> {
      copied(caller, func capsule = Export.items(capsule, refs));
    };

    /// The chunks of memories, in the order of the ids, or of the first part of them.
    public func memoryManifests(caller : Principal, ids : [Text]) : Result<[Capsule.MemoryManifest]> {
      copied(caller, func capsule = Export.memoryManifests(capsule, ids));
    };

    /// Lets the backend compare what is there, at the owner's wish; returns until when.
    public func closeForUndo(caller : Principal, now : Nat64) : Result<Nat64> {
      if (caller != parties.owner()) return #Err(#Unauthorized "only the owner closes the canister");
      switch (parties.refusal()) { case null {}; case (?problem) return #Err problem };
      if (parties.isOpen()) return #Ok(ImportState.close(state, now));
      #Err(#Locked { reason = "the canister isn't its owner's yet"; until = null });
    };

    /// The manifest of what is there, and that of the finished import; the certificate when asked in a query. The backend
    /// compares it until the canister is open; of what the owner does then it is told nothing, unless the owner has closed
    /// the canister for it.
    public func manifest(caller : Principal, now : Nat64) : Result<Types.CertifiedManifest> {
      let isBackend = caller == parties.backend();
      let closed_until = ImportState.closed(state, now);
      if (not isBackend) switch (refuseLook(caller)) { case null {}; case (?problem) return #Err problem };
      switch (state.final) {
        case (?{ manifest }) if (isBackend and parties.isOpen() and closed_until == null) return #Ok {
          manifest;
          imported = ?manifest;
          beside = Beside.nothing;
          certificate = null;
          closed_until;
        };
        case null {};
      };
      #Ok {
        manifest = Manifest.take(state.capsule, parties.self(), now);
        imported = do ? { state.final!.manifest };
        beside = Beside.count(store, state, parties.owner());
        certificate = if (state.final == null) null else CertifiedData.getCertificate();
        closed_until;
      };
    };

    /// What anyone may know of this canister.
    public func info(now : Nat64) : Types.PersonalInfo = {
      owner = parties.owner();
      backend = parties.backend();
      name = parties.name;
      api_version = ApiVersion.current;
      capsule_id = if (ImportState.hasCapsule(state)) ?state.capsule.id else null;
      import_state = ImportState.currentState(state, now);
      is_open = parties.isOpen();
    };
  };
};
