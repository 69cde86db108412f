/// Where the value begins in a Candid encoding. A type table may list the same types in any order, the value after it
/// has one form only, which anyone can compute. Understands the tables of data types (opt, vec, record, variant), all
/// that is sealed.
import Nat64 "mo:core/Nat64";
import Nat8 "mo:core/Nat8";
import Runtime "mo:core/Runtime";

module {
  // The opcodes as they stand in a table: one byte each, signed LEB128 (Candid specification, "Types").
  let opt : Nat8 = 0x6e;
  let vec : Nat8 = 0x6d;
  let record : Nat8 = 0x6c;
  let variant : Nat8 = 0x6b;

  /// The offset of the first byte of the value in the encoding of one value, as `to_candid` makes it.
  public func start(encoded : Blob) : Nat {
    var offset = 4; // "DIDL"

    func byte() : Nat8 {
      let next = encoded[offset];
      offset += 1;
      next;
    };

    func skipNumber() { while (byte() >= 0x80) {} };

    func number() : Nat64 {
      var value : Nat64 = 0;
      var shift : Nat64 = 0;
      loop {
        let next = byte();
        value |= Nat64.fromNat(Nat8.toNat(next & 0x7f)) << shift;
        if (next < 0x80) return value;
        shift += 7;
      };
    };

    var types = number();
    while (types > 0) {
      let opcode = byte();
      if (opcode == opt or opcode == vec) {
        skipNumber();
      } else if (opcode == record or opcode == variant) {
        var fields = number();
        while (fields > 0) {
          skipNumber(); // label
          skipNumber(); // type
          fields -= 1;
        };
      } else Runtime.trap("a sealed record holds data only");
      types -= 1;
    };
    skipNumber(); // one value
    skipNumber(); // its type
    offset;
  };
};
