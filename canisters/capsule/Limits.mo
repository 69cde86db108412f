/// Every limit of the capsule API in one place. A limit that is passed is answered with `LimitExceeded` or
/// `InvalidArgument`; limits of an import are the personal canister's own (`personal/Import`).
module {
  // ---- Texts (characters) ----
  public let nameChars = 255;
  public let descriptionChars = 10_000;
  public let captionChars = 1_000;
  public let jsonChars = 10_000;
  public let locatorChars = 2_048;
  public let thumbnailChars = 100_000;
  public let nonceChars = 255;
  /// What is kept of a message about a creation; longer ones are cut.
  public let messageChars = 1_000;

  // ---- Lists ----
  public let peopleInMemory = 200;
  public let tags = 200;
  public let galleryEntries = 5_000;
  public let groupMembers = 1_000;
  public let accessPeople = 1_000;
  public let accessDepth = 8;
  /// That owners and controllers record.
  public let eventsPerCapsule = 1_000;
  public let executorsPerCapsule = 20;
  public let eventsPerExecutor = 8;
  /// All of a capsule: however many its owners recorded, there is room for its executors'.
  public func eventsOfAll() : Nat = eventsPerCapsule + executorsPerCapsule * eventsPerExecutor;

  // ---- Bytes ----
  /// One chunk, and so the most that can travel inline: an ingress message may have 2 MiB.
  public let chunkBytes = 2_000_000;
  /// The chunk size that inline data is said to have; the same number.
  public let inlineChunkSize : Nat32 = 2_000_000;
  public let uploadBytes : Nat64 = 1_073_741_824;
  public let chunksPerMemory = 16_384;
  /// All contents of a canister.
  public let contentBytes = 60_000_000_000;
  /// The region that they are in, which could grow to 64 GiB less one page (`build.js`); what is left over is for what an
  /// upgrade with classical persistence writes behind the regions.
  public let regionBytes : Nat64 = 66_000_000_000;
  /// Candid encoding of one memory record, gallery, connection or group.
  public let recordBytes = 500_000;
  /// Galleries, connections and groups of a capsule together, each of which are read all at once: 10,000 galleries of one
  /// memory each.
  public let rosterBytes = 1_950_000;
  /// What `get_capsule` shows of a capsule. The rest of a reply (2 MiB) is for types, owners and controllers.
  public let capsuleViewBytes = 2_000_000;
  public let capsuleViewMemories = 500;
  /// What a page collects before it ends; one more record may follow.
  public let pageBytes = 1_200_000;

  // ---- Pages ----
  public let defaultPage = 100;
  public let largestPage = 1_000;
  public let missingChunksListed = 1_000;
  /// Memories, and people and groups that their rules name, that a page looks at for someone who may not write.
  public let rulesLookedAt = 100_000;
  /// Ids that one call asks for, at their longest.
  public let idsPerBatch = 500;
  /// Items that one message of an import puts, commits or removes: each changes the tree.
  public let itemsPerBatch = 100;

  // ---- Time (nanoseconds) and sessions ----
  public let nonceLifetime : Nat64 = 600_000_000_000;
  public let uploadTimeout : Nat64 = 3_600_000_000_000;
  /// Of a caller, which are remembered until they expire.
  public let committedUploads = 100;
  /// How long an executor's event waits: at least so long that its owner can notice it, and not for ever.
  public let shortestEventWait : Nat64 = 86_400_000_000_000; // a day
  public let longestEventWait : Nat64 = 315_360_000_000_000_000; // 3,650 days
  /// Unless the owner chooses: of a death, and of what only its name tells; and of everything else.
  public let graveEventWait : Nat64 = 2_592_000_000_000_000; // 30 days
  public let usualEventWait : Nat64 = 604_800_000_000_000; // 7 days
};
