/// Seals: the checksums of an item as the manifest's definition in the contracts has them. Owns the byte layout of an
/// entry hash; each item is sealed once, when it is written.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Text "mo:core/Text";
import CandidValue "CandidValue";
import Persons "Persons";
import Sha256 "sha256/Sha256";
import Store "Store";
import Types "Types";

module {
  /// 32 zero bytes, in the place of a content checksum.
  func noChecksum() : Blob = Blob.fromArray(Array.repeat<Nat8>(0, 32));

  /// In the order in which a manifest lists them.
  public func kindNumber(kind : Types.ItemKind) : Nat8 = switch kind {
    case (#Capsule) 0;
    case (#Memory) 1;
    case (#Gallery) 2;
    case (#Connection) 3;
    case (#ConnectionGroup) 4;
  };

  func seal(kind : Types.ItemKind, id : Text, encoded : Blob, content : ?Store.Content) : Store.Seal {
    let recordChecksum = Sha256.hashFrom(encoded, CandidValue.start(encoded));
    let hash = Sha256.new();
    let idBytes = id.encodeUtf8();
    let (l0, l1, l2, l3) = Nat32.explode(Nat32.fromNat(idBytes.size()));
    Sha256.update(hash, Blob.fromArray([kindNumber(kind), l0, l1, l2, l3]));
    Sha256.update(hash, idBytes);
    Sha256.update(hash, recordChecksum);
    let (checksum, size, chunkSize, chunks) : (Blob, Nat64, Nat32, Nat) = switch content {
      case null (noChecksum(), 0, 0, 0);
      case (?c) (c.checksum, c.size, c.chunk_size, c.chunks.size());
    };
    Sha256.update(hash, checksum);
    let (s0, s1, s2, s3, s4, s5, s6, s7) = Nat64.explode(size);
    let (c0, c1, c2, c3) = Nat32.explode(chunkSize);
    let (n0, n1, n2, n3) = Nat32.explode(Nat32.fromNat(chunks));
    Sha256.update(hash, Blob.fromArray([s0, s1, s2, s3, s4, s5, s6, s7, c0, c1, c2, c3, n0, n1, n2, n3]));
    { record_checksum = recordChecksum; record_bytes = encoded.size(); entry_hash = Sha256.digest(hash) };
  };

  public func capsule(record : Types.CapsuleRecord) : Store.Sealed<Types.CapsuleRecord> = {
    record;
    seal = seal(#Capsule, record.id, to_candid (record), null);
  };

  public func memory(record : Types.MemoryRecord, content : ?Store.Content) : Store.StoredMemory = {
    record;
    content;
    seal = seal(#Memory, record.id, to_candid (record), content);
  };

  public func gallery(record : Types.Gallery) : Store.Sealed<Types.Gallery> = {
    record;
    seal = seal(#Gallery, record.id, to_candid (record), null);
  };

  public func connection(record : Types.Connection) : Store.Sealed<Types.Connection> = {
    record;
    seal = seal(#Connection, Persons.key(record.peer), to_candid (record), null);
  };

  public func group(record : Types.ConnectionGroup) : Store.Sealed<Types.ConnectionGroup> = {
    record;
    seal = seal(#ConnectionGroup, record.id, to_candid (record), null);
  };

  /// Chunks that are already hashed, as the content of a memory.
  public func content(size : Nat64, chunkSize : Nat32, chunks : [Store.Chunk]) : Store.Content {
    let hash = Sha256.new();
    for (chunk in chunks.values()) Sha256.update(hash, chunk.sha256);
    { size; chunk_size = chunkSize; chunks; checksum = Sha256.digest(hash) };
  };
};
