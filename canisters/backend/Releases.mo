/// The approved builds of the personal canister, by the SHA-256 of their module. A creation completes only on one of these.

import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Text "mo:core/Text";

import ApiCompatibility "ApiCompatibility";
import Errors "CreationErrors";
import T "BackendTypes";

module {
  let HASH_BYTES = 32;
  let MAX_NOTE_CHARS = 500;
  let MAX_RELEASES = 1_000;

  public type State = { releases : Map.Map<Blob, T.Release> };

  public func start() : State { { releases = Map.empty<Blob, T.Release>() } };

  /// Registering the same module again replaces its version and note.
  public func register(state : State, release : T.NewRelease, now : Nat64) : T.CreationResult {
    if (release.module_hash.size() != HASH_BYTES) {
      return #Err(Errors.invalid(
        "module_hash has " # Nat.toText(release.module_hash.size()) # " bytes; a SHA-256 hash has 32."
      ));
    };
    if (ApiCompatibility.major(release.api_version) == null) {
      return #Err(Errors.invalid("api_version \"" # release.api_version # "\" is not a semantic version such as 1.2.3."));
    };
    if (Text.size(release.note) > MAX_NOTE_CHARS) {
      return #Err(Errors.invalid("note is longer than " # Nat.toText(MAX_NOTE_CHARS) # " characters."));
    };
    if (Map.size(state.releases) >= MAX_RELEASES and not isApproved(state, release.module_hash)) {
      return #Err(Errors.invalid("There are " # Nat.toText(MAX_RELEASES) # " releases already; revoke old ones first."));
    };
    Map.add(state.releases, Blob.compare, release.module_hash, { release with registered_at = now });
    #Ok;
  };

  /// Creations already completed on that module are not touched. Revoking an unknown module is a success.
  public func revoke(state : State, moduleHash : Blob) : T.CreationResult {
    Map.remove(state.releases, Blob.compare, moduleHash);
    #Ok;
  };

  public func isApproved(state : State, moduleHash : Blob) : Bool {
    Map.containsKey(state.releases, Blob.compare, moduleHash);
  };

  /// Newest first.
  public func list(state : State) : [T.Release] {
    let releases = Array.fromIter(Map.values(state.releases));
    Array.sort<T.Release>(
      releases,
      func(a, b) = Nat64.compare(b.registered_at, a.registered_at),
    );
  };
};
