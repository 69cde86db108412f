/// What an import keeps: its session, who imported, the memories that aren't committed yet, in the end the manifest it
/// left, for good, and whether the canister has been opened to its owner. Owns the stored types and the sessions' life
/// (active, expired, completed); committed items are in the capsule.
import CertifiedData "mo:core/CertifiedData";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Text "mo:core/Text";
import Capsule "../capsule/Types";
import Contents "../capsule/Contents";
import Manifest "../capsule/Manifest";
import Quotas "../capsule/Quotas";
import Store "../capsule/Store";
import Types "Types";

module {
  public type Session = { id : Nat64; started_at : Nat64; var last_activity_at : Nat64 };

  /// Chunks that have arrived, by index, and the memory's record, if that has.
  public type Pending = { var record : ?Store.SealedRecord; chunks : Map.Map<Nat32, Store.Chunk> };

  public type Final = {
    session : Nat64;
    at : Nat64;
    manifest : Capsule.CapsuleManifest;
    result : Types.FinalizedImport;
  };

  public type State = {
    limits : Types.ImportLimits;
    /// The capsule that is being imported. It has no id until its record has come.
    capsule : Store.Capsule;
    pending : Map.Map<Text, Pending>;
    /// Bytes of the pending chunks.
    var staged_bytes : Nat64;
    /// Who installed this canister or began a session here, other than its owner.
    operators : Set.Set<Principal>;
    var session : ?Session;
    var final : ?Final;
    /// Since when the canister is its owner's. Never taken back.
    var openedAt : ?Nat64;
    /// Until when the owner has closed it for the backend's comparison; 0: never.
    var closedUntil : Nat64;
  };

  public let defaultLimits : Types.ImportLimits = {
    max_chunk_bytes = 2_000_000;
    max_import_bytes = 100_000_000;
    session_timeout_ns = 3_600_000_000_000;
  };

  /// No session, and a capsule without a record. `installer` is who installed the canister.
  public func empty(
    store : Store.Store,
    owner : Principal,
    installer : Principal,
    limits : ?Types.ImportLimits,
  ) : State = {
    limits = switch limits { case (?given) given; case null defaultLimits };
    capsule = Store.newCapsule(store, "", owner, #Principal owner, 0);
    pending = Map.empty();
    var staged_bytes = 0;
    operators = Set.fromIter((if (installer == owner) [] else [installer]).values());
    var session = null;
    var final = null;
    var openedAt = null;
    var closedUntil = 0;
  };

  /// Whether the capsule's own record has come.
  public func hasCapsule(state : State) : Bool = state.capsule.id != "";

  /// Bytes of contents that are stored, committed or not.
  public func storedBytes(state : State) : Nat64 = state.capsule.content_bytes + state.staged_bytes;

  func expiresAt(state : State, session : Session) : Nat64 = session.last_activity_at + state.limits.session_timeout_ns;

  func stateOf(state : State, session : Session, now : Nat64) : Types.ImportState {
    if (state.final != null) #Completed else if (now >= expiresAt(state, session)) #Expired else #Active;
  };

  /// Whether somebody who imported still controls the canister: then nothing but the import may write here.
  public func isOperated(state : State) : Bool = state.operators.any(func operator = operator.isController());

  /// How long the owner closes the canister: for a question and an answer, and what may delay them.
  let closedNs : Nat64 = 600_000_000_000;

  /// Closes the canister; returns until when.
  public func close(state : State, now : Nat64) : Nat64 {
    state.closedUntil := now + closedNs;
    state.closedUntil;
  };

  /// Until when the canister is closed, if it is.
  public func closed(state : State, now : Nat64) : ?Nat64 = if (state.closedUntil > now) ?state.closedUntil else null;

  /// Null before the first session.
  public func currentState(state : State, now : Nat64) : ?Types.ImportState = switch (state.session) {
    case (?session) ?stateOf(state, session, now);
    case null null;
  };

  /// Certifies what the canister holds and what was imported, once the import is final: after each change, and after an
  /// upgrade.
  public func certify(state : State) = switch (state.final) {
    case (?{ manifest }) CertifiedData.set(Manifest.certified(Manifest.hash(state.capsule), manifest.manifest_hash));
    case null {};
  };

  /// The import isn't final any more, and nothing is certified.
  public func reopen(state : State) {
    if (state.final == null) return;
    state.final := null;
    CertifiedData.set("");
  };

  /// What callers see of the session.
  public func view(state : State, now : Nat64) : ?Types.ImportSession = switch (state.session) {
    case null null;
    case (?session) ?{
      id = session.id;
      state = stateOf(state, session, now);
      started_at = session.started_at;
      last_activity_at = session.last_activity_at;
      expires_at = expiresAt(state, session);
      bytes_received = storedBytes(state);
      memories_committed = Nat64.fromNat(state.capsule.memories.size());
      limits = state.limits;
    };
  };

  /// The session in progress; without one, a new one, which takes over what is stored already.
  public func begin(state : State, now : Nat64) : Session {
    switch (state.session) {
      case (?session) if (now < expiresAt(state, session)) {
        session.last_activity_at := now;
        return session;
      };
      case null {};
    };
    let id : Nat64 = switch (state.session) { case (?old) old.id + 1; case null 1 };
    let session : Session = { id; started_at = now; var last_activity_at = now };
    state.session := ?session;
    session;
  };

  /// Session `id`, if it is the one in progress.
  public func find(state : State, id : Nat64, now : Nat64) : Capsule.Result<Session> {
    let ?session = state.session else return #Err(#NotFound { kind = "import session"; id = Nat64.toText(id) });
    if (id > session.id) return #Err(#NotFound { kind = "import session"; id = Nat64.toText(id) });
    if (id < session.id) return #Err(#SessionExpired { session = id; expired_at = session.started_at });
    if (now >= expiresAt(state, session)) return #Err(
      #SessionExpired { session = id; expired_at = expiresAt(state, session) }
    );
    #Ok session;
  };

  // ---- Pending memories ----

  /// The memory's place among the pending ones, made if need be.
  public func pendingFor(state : State, memoryId : Text) : Pending = switch (state.pending.get(memoryId)) {
    case (?known) known;
    case null {
      let fresh : Pending = { var record = null; chunks = Map.empty() };
      state.pending.add(memoryId, fresh);
      fresh;
    };
  };

  /// Takes the chunks away; the record stays.
  public func dropChunks(store : Store.Store, state : State, pending : Pending) {
    for (chunk in pending.chunks.values()) Contents.release(store.contents, [chunk]);
    leave(state, pending);
  };

  /// The chunks aren't pending any more.
  func leave(state : State, pending : Pending) {
    for (chunk in pending.chunks.values()) {
      state.staged_bytes -= Nat64.fromNat(chunk.size);
      Quotas.charge(state.capsule.account, Quotas.negated(Quotas.chunk(chunk.size)));
    };
    pending.chunks.clear();
  };

  /// Puts a record in the place of what is pending, or takes it away.
  public func setRecord(state : State, pending : Pending, record : ?Store.SealedRecord) {
    Quotas.charge(state.capsule.account, Quotas.between(recordCharge(pending.record), recordCharge(record)));
    pending.record := record;
  };

  /// What a pending record is charged.
  public func recordCharge(record : ?Store.SealedRecord) : Quotas.Change = switch record {
    case (?{ record_bytes }) Quotas.memoryRecord(record_bytes);
    case null Quotas.noChange;
  };

  /// Takes away all that is pending of the memory.
  public func dropPending(store : Store.Store, state : State, memoryId : Text) {
    switch (state.pending.take(memoryId)) {
      case (?pending) { dropChunks(store, state, pending); setRecord(state, pending, null) };
      case null {};
    };
  };

  /// The memory isn't pending any more, and its chunks belong to somebody else.
  public func movePending(state : State, memoryId : Text) {
    switch (state.pending.take(memoryId)) {
      case (?pending) { leave(state, pending); setRecord(state, pending, null) };
      case null {};
    };
  };
};
