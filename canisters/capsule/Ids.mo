/// New ids. Unique by construction: a kind, this canister's tag (the head of the SHA-256 of its principal), a
/// counter; so that the ids which a personal canister makes never meet those that it imported.
import Nat8 "mo:core/Nat8";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Sha256 "sha256/Sha256";
import Store "Store";

module {
  let digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];
  let counterWidth = 10;

  func tag(self : Principal) : Text {
    let hash = Sha256.hash(self.toBlob());
    var text = "";
    for (index in [0, 1, 2, 3].values()) {
      let byte = Nat8.toNat(hash[index]);
      text #= digits[byte / 16] # digits[byte % 16];
    };
    text;
  };

  /// "<kind>-<8 hex digits>-<counter>". The counter has leading zeros, so that ids are in the order of their making.
  public func next(store : Store.Store, self : Principal, kind : Text) : Text {
    if (store.id_tag == "") store.id_tag := tag(self);
    var counter = Nat64.toText(store.next_id);
    store.next_id += 1;
    while (counter.size() < counterWidth) counter := "0" # counter;
    kind # "-" # store.id_tag # "-" # counter;
  };
};
