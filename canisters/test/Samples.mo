/// A capsule with one item of each kind, as `tests/support/personal_world.py` has it too.
import Array "mo:core/Array";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import MerkleTree "../capsule/MerkleTree";
import Persons "../capsule/Persons";
import Quotas "../capsule/Quotas";
import Roster "../capsule/Roster";
import Seal "../capsule/Seal";
import Sha256 "../capsule/sha256/Sha256";
import Store "../capsule/Store";
import Types "../capsule/Types";

module {
  let now : Nat64 = 1_700_000_000_000_000_000;

  public func owner() : Principal = Principal.fromBlob("owner\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\02");

  /// Nothing in it, and room for some items.
  public func store() : Store.Store {
    let made = Store.empty(Quotas.backendLimits);
    assert MerkleTree.reserve(made.nodes, 10) == #Ok;
    made;
  };

  public let friend : Types.PersonRef = #Opaque "Bob";

  /// The content of the sample memory: two chunks.
  public func content() : Store.Content {
    let chunks = ([("ab" : Blob), ("c" : Blob)]).map(func bytes = {
      offset = 0 : Nat64;
      size = bytes.size();
      parts = null;
      sha256 = Sha256.hash(bytes);
    });
    Seal.content(3, 2, chunks);
  };

  public func memory(access : Types.MemoryAccess, content : ?Store.Content) : Types.MemoryRecord = {
    id = "mem-1";
    info = {
      memory_type = #Document;
      name = "letter";
      content_type = "text/plain";
      created_at = now - 4;
      updated_at = now - 4;
      uploaded_at = now - 4;
      date_of_memory = null;
    };
    metadata = #Document {
      base = {
        size = switch content { case (?{ size }) size; case null 0 };
        mime_type = "text/plain";
        original_name = "letter.txt";
        uploaded_at = "2023-11-14T22:13:20Z";
        date_of_memory = null;
        people_in_memory = null;
        format = null;
      };
    };
    access;
    blob_ref = {
      kind = #ICPCapsule;
      locator = "mem-1";
      hash = switch content { case (?{ checksum }) ?checksum; case null null };
    };
  };

  public func gallery() : Types.Gallery = {
    id = "gal-1";
    owner_principal = owner();
    title = "Summer";
    description = null;
    is_public = false;
    created_at = now - 4;
    updated_at = now - 4;
    storage_status = #ICPOnly;
    memory_entries = [{
      memory_id = "mem-1";
      position = 0;
      gallery_caption = null;
      is_featured = false;
      gallery_metadata = "{}";
    }];
  };

  public func connection(peer : Types.PersonRef, status : Types.ConnectionStatus) : Types.Connection = {
    peer;
    status;
    created_at = now - 4;
    updated_at = now - 4;
  };

  public func group(id : Text, members : [Types.PersonRef]) : Types.ConnectionGroup = {
    id;
    name = "Family";
    description = null;
    members;
    created_at = now - 4;
    updated_at = now - 4;
  };

  /// The owner's capsule, with nothing in it.
  public func emptyCapsule() : Store.Capsule {
    let made = Store.newCapsule(store(), "cap-1", owner(), #Principal(owner()), now - 5);
    made.updated_at := now - 3;
    made.bound_to_web2 := true;
    let state = { since = now - 5; last_activity_at = now - 3 };
    made.owners.add(Persons.key(#Principal(owner())), (#Principal(owner()), state));
    made;
  };

  /// The owner's capsule, with one item of each kind.
  public func capsule() : Store.Capsule {
    let made = emptyCapsule();
    let bytes = content();
    let letter = Seal.memory(memory(#Private, ?bytes), ?bytes);
    made.memories.add("mem-1", letter);
    Seal.enter(made, #Memory, "mem-1", letter, ?bytes);
    made.content_bytes := bytes.size;
    Roster.insert(made, #Gallery, made.galleries, "gal-1", Seal.gallery(gallery()));
    let known = Seal.connection(connection(friend, #Accepted));
    Roster.insert(made, #Connection, made.connections, Persons.key(friend), known);
    Roster.insert(made, #ConnectionGroup, made.groups, "group-1", Seal.group(group("group-1", [friend])));
    made;
  };
};
