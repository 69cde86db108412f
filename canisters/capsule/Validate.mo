/// Checks of what callers send: lengths, required texts, kinds that must fit each other. Each check answers the
/// problem or null. Owns no limits (see `Limits`) and looks at no stored state.
import Array "mo:core/Array";
import Principal "mo:core/Principal";
import Limits "Limits";
import Types "Types";

module {
  public type Problem = ?Types.CapsuleError;

  /// The first problem of a list of checks.
  public func first(problems : [Problem]) : Problem {
    for (problem in problems.values()) { if (problem != null) return problem };
    null;
  };

  /// A problem with one field; `reason` goes on where the field's name ends.
  public func invalid(field : Text, reason : Text) : Problem = ?#InvalidArgument { field; reason };

  /// `what` says what is counted. The limit itself is allowed.
  public func most(
    what : Text,
    limit : Nat,
    actual : Nat,
  ) : Problem = if (actual > limit) ?#LimitExceeded { what; limit; actual } else null;

  /// Counts characters, not bytes.
  public func textAtMost(
    field : Text,
    text : Text,
    limit : Nat,
  ) : Problem = most("characters of " # field, limit, text.size());

  /// A text that must be there, of at most 255 characters.
  public func name(field : Text, text : Text) : Problem {
    if (text == "") return invalid(field, "must not be empty");
    textAtMost(field, text, Limits.nameChars);
  };

  /// A text that may be absent.
  public func optText(field : Text, text : ?Text, limit : Nat) : Problem = switch text {
    case (?present) textAtMost(field, present, limit);
    case null null;
  };

  func texts(field : Text, list : ?[Text], limit : Nat) : Problem {
    let ?present = list else return null;
    first([most("entries of " # field, limit, present.size()), first(present.map(func text = name(field, text)))]);
  };

  /// Refuses the anonymous principal, and an empty name.
  public func person(field : Text, ref : Types.PersonRef) : Problem = switch ref {
    case (#Principal principal) if (principal.isAnonymous()) invalid(
      field,
      "the anonymous principal is nobody",
    ) else null;
    case (#Opaque text) name(field, text);
  };

  /// Each person of a list, and its length.
  public func people(field : Text, list : [Types.PersonRef], limit : Nat) : Problem {
    first([most("entries of " # field, limit, list.size()), first(list.map(func ref = person(field, ref)))]);
  };

  /// Refuses an event of one's own that has no name.
  public func event(field : Text, value : Types.AccessEvent) : Problem = switch value {
    case (#Custom text) name(field, text);
    case _ null;
  };

  /// The whole rule, at most eight deep. Whether groups exist isn't asked here.
  public func access(rule : Types.MemoryAccess) : Problem = accessBelow(rule, Limits.accessDepth);

  func accessBelow(rule : Types.MemoryAccess, depth : Nat) : Problem {
    if (depth == 0) return most("nesting of access", Limits.accessDepth, Limits.accessDepth + 1);
    switch rule {
      case (#Public or #Private) null;
      case (#Custom { individuals; groups }) first([
        people("access.individuals", individuals, Limits.accessPeople),
        texts("access.groups", ?groups, Limits.accessPeople),
      ]);
      case (#Scheduled { access }) accessBelow(access, depth - 1);
      case (#EventTriggered { trigger_event; access }) first([
        event("access.trigger_event", trigger_event),
        accessBelow(access, depth - 1),
      ]);
    };
  };

  /// The type of memory that such metadata belongs to.
  public func typeOf(metadata : Types.MemoryMetadata) : Types.MemoryType = switch metadata {
    case (#Image _) #Image;
    case (#Video _) #Video;
    case (#Audio _) #Audio;
    case (#Document _) #Document;
    case (#Note _) #Note;
  };

  /// Refuses metadata of another type of memory.
  public func metadata(memoryType : Types.MemoryType, value : Types.MemoryMetadata) : Problem {
    if (typeOf(value) != memoryType) return invalid("metadata", "its variant differs from the memory's type");
    switch value {
      case (#Image { base } or #Document { base }) metadataBase(base);
      case (#Video { base; thumbnail }) first(
        [metadataBase(base), optText("metadata.thumbnail", thumbnail, Limits.thumbnailChars)]
      );
      case (#Audio { base; format }) first([metadataBase(base), optText("metadata.format", format, Limits.nameChars)]);
      case (#Note { base; tags }) first([metadataBase(base), texts("metadata.tags", tags, Limits.tags)]);
    };
  };

  func metadataBase(base : Types.MemoryMetadataBase) : Problem = first([
    name("metadata.base.mime_type", base.mime_type),
    name("metadata.base.original_name", base.original_name),
    textAtMost("metadata.base.uploaded_at", base.uploaded_at, Limits.nameChars),
    optText("metadata.base.date_of_memory", base.date_of_memory, Limits.nameChars),
    texts("metadata.base.people_in_memory", base.people_in_memory, Limits.peopleInMemory),
    optText("metadata.base.format", base.format, Limits.nameChars),
  ]);

  /// The form of a reference; not whether there are bytes behind it.
  public func blobRef(ref : Types.BlobRef) : Problem {
    switch (ref.hash) {
      case (?hash) if (hash.size() != 32) return invalid("blob_ref.hash", "a SHA-256 checksum has 32 bytes");
      case null {};
    };
    if (ref.kind == #MemoryBlobKindExternal and ref.locator == "") return invalid(
      "blob_ref.locator",
      "must name the external place",
    );
    textAtMost("blob_ref.locator", ref.locator, Limits.locatorChars);
  };

  /// Whether the memory exists isn't asked here.
  public func galleryEntry(entry : Types.GalleryMemoryEntry) : Problem = first([
    name("memory_entries.memory_id", entry.memory_id),
    optText("memory_entries.gallery_caption", entry.gallery_caption, Limits.captionChars),
    textAtMost("memory_entries.gallery_metadata", entry.gallery_metadata, Limits.jsonChars),
  ]);

  /// Title, description and all entries.
  public func gallery(data : Types.GalleryData) : Problem = first([
    name("title", data.title),
    optText("description", data.description, Limits.descriptionChars),
    most("entries of a gallery", Limits.galleryEntries, data.memory_entries.size()),
    first(data.memory_entries.map(galleryEntry)),
  ]);

  /// Name, description and all members.
  public func group(group : Types.NewConnectionGroup) : Problem = first([
    name("name", group.name),
    optText("description", group.description, Limits.descriptionChars),
    people("members", group.members, Limits.groupMembers),
  ]);
};
