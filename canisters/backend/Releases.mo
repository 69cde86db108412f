/// The approved builds of the personal canister, by the SHA-256 of their module. A creation completes only on one of
/// these.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import ApiCompatibility "ApiCompatibility";
import Errors "Errors";
import Types "Types";

module {
  let hashBytes = 32;
  let noteChars = 500;
  let mostReleases = 1_000;

  public type State = { releases : Map.Map<Blob, Types.Release> };

  /// No release is approved.
  public func start() : State = { releases = Map.empty<Blob, Types.Release>() };

  /// Registering the same module again replaces its version and note.
  public func register(state : State, release : Types.NewRelease, now : Nat64) : Types.CreationResult {
    if (release.module_hash.size() != hashBytes) {
      return #Err(Errors.invalid(
        "module_hash has " # Nat.toText(release.module_hash.size()) # " bytes; a SHA-256 hash has 32."
      ));
    };
    if (ApiCompatibility.major(release.api_version) == null) {
      return #Err(
        Errors.invalid("api_version \"" # release.api_version # "\" is not a semantic version such as 1.2.3.")
      );
    };
    if (release.note.size() > noteChars) {
      return #Err(Errors.invalid("note is longer than " # Nat.toText(noteChars) # " characters."));
    };
    if (state.releases.size() >= mostReleases and not isApproved(state, release.module_hash)) {
      return #Err(
        Errors.invalid("There are " # Nat.toText(mostReleases) # " releases already; revoke old ones first.")
      );
    };
    state.releases.add(release.module_hash, { release with registered_at = now });
    #Ok;
  };

  /// Creations already completed on that module are not touched. Revoking an unknown module is a success.
  public func revoke(state : State, moduleHash : Blob) : Types.CreationResult {
    state.releases.remove(moduleHash);
    #Ok;
  };

  /// Whether a personal canister may run this module.
  public func isApproved(state : State, moduleHash : Blob) : Bool {
    state.releases.containsKey(moduleHash);
  };

  /// Newest first.
  public func list(state : State) : [Types.Release] {
    let releases = Array.fromIter(state.releases.values());
    Array.sort<Types.Release>(
      releases,
      func(a, b) = Nat64.compare(b.registered_at, a.registered_at),
    );
  };
};
