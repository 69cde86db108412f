/// New ids. An id is a kind, a stamp and a part that only this canister can compute: who wasn't given an id doesn't
/// find it, and an id tells nothing but when its thing was made. Owns the form of ids and the secret behind them.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Nat64 "mo:core/Nat64";
import Nat8 "mo:core/Nat8";
import Runtime "mo:core/Runtime";
import Sha256 "sha256/Sha256";
import Store "Store";

module {
  let digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];
  let secretPartBytes = 16;

  /// Whether ids can be made: the canister has its secret.
  public func isReady(store : Store.Store) : Bool = store.id_secret != null;

  /// Keeps the secret for good. Of two that were drawn at once the first stays.
  public func keepSecret(store : Store.Store, secret : Blob) {
    if (store.id_secret == null) store.id_secret := ?secret;
  };

  /// The time, or a little later: no two stamps of a canister are the same, not even when it went back to an older
  /// snapshot of itself. Also the id of an upload, which is of use to the caller who began it only.
  public func stamp(store : Store.Store, now : Nat64) : Nat64 {
    store.last_stamp := Nat64.max(now, store.last_stamp + 1);
    store.last_stamp;
  };

  /// "<kind>-<stamp, 16 hex digits>-<32 hex digits>", the latter from the SHA-256 of secret and stamp. Ids of a kind are
  /// in the order of their making, and never meet those that other canisters made with other secrets. Traps without a
  /// secret.
  public func next(store : Store.Store, kind : Text, now : Nat64) : Text {
    let ?secret = store.id_secret else Runtime.trap("an id was asked for before the canister had its secret");
    let (s0, s1, s2, s3, s4, s5, s6, s7) = Nat64.explode(stamp(store, now));
    let bytes = [s0, s1, s2, s3, s4, s5, s6, s7];
    let hash = Sha256.new();
    Sha256.update(hash, secret);
    Sha256.update(hash, Blob.fromArray(bytes));
    kind # "-" # hex(bytes, bytes.size()) # "-" # hex(Sha256.digest(hash).toArray(), secretPartBytes);
  };

  func hex(bytes : [Nat8], count : Nat) : Text {
    var text = "";
    for (byte in bytes.sliceToArray(0, count).values()) {
      let n = Nat8.toNat(byte);
      text #= digits[n / 16] # digits[n % 16];
    };
    text;
  };
};
