/// Memories' records as they are kept in the heap: one blob each. Owns the packed form; what a record means is up to others.
///
/// A record of twenty objects is copied one by one by each garbage collection, and visited one by one by an upgrade with
/// classical persistence. Its Candid encoding is one object, most of which would be the description of its type. So a
/// record is taken apart into lists of equal values, and the lists are encoded.
import Nat8 "mo:core/Nat8";
import Nat32 "mo:core/Nat32";
import Runtime "mo:core/Runtime";
import Types "Types";

module {
  let memoryTypes : [Types.MemoryType] = [#Image, #Video, #Audio, #Document, #Note];

  func numberOf(memoryType : Types.MemoryType) : Nat32 = switch memoryType {
    case (#Image) 0;
    case (#Video) 1;
    case (#Audio) 2;
    case (#Document) 3;
    case (#Note) 4;
  };

  /// What a kind of metadata has beside the base: its number, numbers, a text, a list of texts.
  type Special = { kind : Nat32; numbers : [?Nat32]; text : ?Text; list : ?[Text] };

  func apart(metadata : Types.MemoryMetadata) : (Types.MemoryMetadataBase, Special) = switch metadata {
    case (#Image { base; dimensions }) {
      let (width, height) : (?Nat32, ?Nat32) = switch dimensions { case (?(w, h)) (?w, ?h); case null (null, null) };
      (base, { kind = 0; numbers = [width, height]; text = null; list = null });
    };
    case (#Video { base; duration; width; height; thumbnail }) {
      (base, { kind = 1; numbers = [duration, width, height]; text = thumbnail; list = null });
    };
    case (#Audio { base; duration; bitrate; sample_rate; format; channels }) {
      let count = switch channels { case (?number) ?Nat32.fromNat(Nat8.toNat(number)); case null null };
      (base, { kind = 2; numbers = [duration, bitrate, sample_rate, count]; text = format; list = null });
    };
    case (#Document { base }) (base, { kind = 3; numbers = []; text = null; list = null });
    case (#Note { base; tags }) (base, { kind = 4; numbers = []; text = null; list = tags });
  };

  func together(base : Types.MemoryMetadataBase, { kind; numbers; text; list } : Special) : Types.MemoryMetadata {
    switch kind {
      case 0 #Image {
        base;
        dimensions = do ? { (numbers[0]!, numbers[1]!) };
      };
      case 1 #Video { base; duration = numbers[0]; width = numbers[1]; height = numbers[2]; thumbnail = text };
      case 2 #Audio {
        base;
        duration = numbers[0];
        bitrate = numbers[1];
        sample_rate = numbers[2];
        format = text;
        channels = do ? { Nat8.fromNat(Nat32.toNat(numbers[3]!)) };
      };
      case 3 #Document { base };
      case _ #Note { base; tags = list };
    };
  };

  /// The record without its id and its rule of access.
  public func pack({ info; metadata; blob_ref } : Types.MemoryRecord) : Blob {
    let (base, { kind; numbers; text; list }) = apart(metadata);
    let external : Nat32 = switch (blob_ref.kind) { case (#ICPCapsule) 0; case (#MemoryBlobKindExternal) 1 };
    let texts = [info.name, info.content_type, base.mime_type, base.original_name, base.uploaded_at, blob_ref.locator];
    let optional = [base.date_of_memory, base.format, text];
    let times = [?info.created_at, ?info.updated_at, ?info.uploaded_at, info.date_of_memory, ?base.size];
    let kinds = [numberOf(info.memory_type), kind, external];
    let lists = [base.people_in_memory, list];
    to_candid (texts, optional, times, kinds, numbers, lists, blob_ref.hash);
  };

  type Lists = ([Text], [?Text], [?Nat64], [Nat32], [?Nat32], [?[Text]], ?Blob);

  /// The record that was packed.
  public func unpack(id : Text, access : Types.MemoryAccess, packed : Blob) : Types.MemoryRecord {
    let ?(texts, optional, times, kinds, numbers, lists, hash) : ?Lists = from_candid (packed) else broken();
    func time(index : Nat) : Nat64 = switch (times[index]) { case (?given) given; case null broken() };
    let info = {
      memory_type = memoryTypes[Nat32.toNat(kinds[0])];
      name = texts[0];
      content_type = texts[1];
      created_at = time(0);
      updated_at = time(1);
      uploaded_at = time(2);
      date_of_memory = times[3];
    };
    let base = {
      size = time(4);
      mime_type = texts[2];
      original_name = texts[3];
      uploaded_at = texts[4];
      date_of_memory = optional[0];
      people_in_memory = lists[0];
      format = optional[1];
    };
    let kind : Types.BlobKind = if (kinds[2] == 0) #ICPCapsule else #MemoryBlobKindExternal;
    {
      id;
      info;
      metadata = together(base, { kind = kinds[1]; numbers; text = optional[2]; list = lists[1] });
      access;
      blob_ref = { kind; locator = texts[5]; hash };
    };
  };

  func broken() : None = Runtime.trap("a memory's record is not in its packed form");
};
