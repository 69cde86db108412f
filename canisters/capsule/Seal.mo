/// Seals: the checksums of an item as the manifest's definition in the contracts has them. Owns the byte layout of an
/// entry hash, and of a key in the tree; each item is sealed once, when it is written.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Char "mo:core/Char";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Nat8 "mo:core/Nat8";
import Text "mo:core/Text";
import MerkleTree "MerkleTree";
import Packed "Packed";
import Sha256 "sha256/Sha256";
import Store "Store";
import Types "Types";

module {
  /// 32 zero bytes, in the place of a content checksum.
  public func noChecksum() : Blob = Blob.fromArray(Array.repeat<Nat8>(0, 32));

  /// In the order in which a manifest lists them.
  public func kindNumber(kind : Types.ItemKind) : Nat8 = switch kind {
    case (#Capsule) 0;
    case (#Memory) 1;
    case (#Gallery) 2;
    case (#Connection) 3;
    case (#ConnectionGroup) 4;
  };

  /// Of a record encoded as one argument and, twice, as two. A type table may list the same types in any order, the
  /// value behind it has one form only, which anyone can compute. Both encodings have the same table, so that what the
  /// second is longer by is the value, and one byte for its type (tables here have fewer than 64 types).
  func sealed(once : Blob, twice : Blob) : Store.Seal {
    let valueBytes = valueSize(once, twice);
    { record_checksum = Sha256.hashFrom(once, once.size() - valueBytes); record_bytes = valueBytes };
  };

  func valueSize(once : Blob, twice : Blob) : Nat = twice.size() - once.size() - 1;

  /// What `record_bytes` of a memory's seal will be.
  public func recordBytes(record : Types.MemoryRecord) : Nat = valueSize(to_candid (record), to_candid (record, record));

  /// The entry hash of an item.
  public func entryHash(kind : Types.ItemKind, id : Text, record : Store.Seal, content : ?Store.Content) : Blob {
    let hash = Sha256.new();
    let idBytes = id.encodeUtf8();
    let (l0, l1, l2, l3) = Nat32.explode(Nat32.fromNat(idBytes.size()));
    Sha256.update(hash, Blob.fromArray([kindNumber(kind), l0, l1, l2, l3]));
    Sha256.update(hash, idBytes);
    Sha256.update(hash, record.record_checksum);
    let (checksum, size, chunkSize, chunks) : (Blob, Nat64, Nat32, Nat) = switch content {
      case null (noChecksum(), 0, 0, 0);
      case (?c) (c.checksum, c.size, c.chunk_size, c.chunks.size());
    };
    Sha256.update(hash, checksum);
    let (s0, s1, s2, s3, s4, s5, s6, s7) = Nat64.explode(size);
    let (c0, c1, c2, c3) = Nat32.explode(chunkSize);
    let (n0, n1, n2, n3) = Nat32.explode(Nat32.fromNat(chunks));
    Sha256.update(hash, Blob.fromArray([s0, s1, s2, s3, s4, s5, s6, s7, c0, c1, c2, c3, n0, n1, n2, n3]));
    Sha256.digest(hash);
  };

  /// Where an item is in the tree.
  public func key(kind : Types.ItemKind, id : Text) : Blob {
    Sha256.hash((Char.fromNat32(Nat32.fromNat(Nat8.toNat(kindNumber(kind)))).toText() # id).encodeUtf8());
  };

  /// Puts an item, as it is stored now, in its place in the capsule's tree.
  public func enter(
    capsule : Store.Capsule,
    kind : Types.ItemKind,
    id : Text,
    record : Store.Seal,
    content : ?Store.Content,
  ) {
    MerkleTree.put(capsule.tree, key(kind, id), entryHash(kind, id, record, content));
  };

  /// Takes an item that isn't stored any more out of the capsule's tree.
  public func leave(capsule : Store.Capsule, kind : Types.ItemKind, id : Text) {
    MerkleTree.remove(capsule.tree, key(kind, id));
  };

  /// The record of the capsule itself, sealed.
  public func capsule(record : Types.CapsuleRecord) : Store.Sealed<Types.CapsuleRecord> = {
    record;
    seal = sealed(to_candid (record), to_candid (record, record));
  };

  /// A memory's record with its content, sealed.
  public func memory(record : Types.MemoryRecord, content : ?Store.Content) : Store.StoredMemory {
    { memoryRecord(record) with content };
  };

  /// A memory's record, sealed; its content may come later.
  public func memoryRecord(record : Types.MemoryRecord) : Store.SealedRecord {
    {
      sealed(to_candid (record), to_candid (record, record)) with
      id = record.id;
      rule = switch (record.access) { case (#Private) null; case access ?access };
      packed = Packed.pack(record);
    };
  };

  /// The record of a memory, whether its content is there or not.
  public func recordOf({ id; rule; packed } : Store.KeptRecord) : Types.MemoryRecord {
    Packed.unpack(id, switch rule { case (?access) access; case null #Private }, packed);
  };

  /// A gallery, sealed.
  public func gallery(record : Types.Gallery) : Store.Sealed<Types.Gallery> = {
    record;
    seal = sealed(to_candid (record), to_candid (record, record));
  };

  /// A connection, sealed.
  public func connection(record : Types.Connection) : Store.Sealed<Types.Connection> = {
    record;
    seal = sealed(to_candid (record), to_candid (record, record));
  };

  /// A connection group, sealed. Its people count more bytes than they have: to find out whether somebody is in a group takes
  /// the longer, the more there are.
  public func group(record : Types.ConnectionGroup) : Store.Sealed<Types.ConnectionGroup> {
    let { record_checksum; record_bytes } = sealed(to_candid (record), to_candid (record, record));
    { record; seal = { record_checksum; record_bytes = record_bytes + memberBytes * record.members.size() } };
  };

  /// So that the groups of a capsule have 27,000 people together (`Limits.rosterBytes`).
  let memberBytes = 40;

  /// The checksum of a content, from those of its chunks.
  public func contentChecksum(checksums : [Blob]) : Blob {
    let hash = Sha256.new();
    for (checksum in checksums.values()) Sha256.update(hash, checksum);
    Sha256.digest(hash);
  };

  /// Chunks that are already hashed, as the content of a memory.
  public func content(size : Nat64, chunkSize : Nat32, chunks : [Store.Chunk]) : Store.Content {
    { size; chunk_size = chunkSize; chunks; checksum = contentChecksum(chunks.map(func chunk = chunk.sha256)) };
  };
};
