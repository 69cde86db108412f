import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import { type Test; test } "../Test";
import Limits "../../capsule/Limits";

module {
  let messageBytes = 2_097_152; // of a message that a person sends, and of a reply

  public func tests() : [Test] = [
    test("a chunk fits a message, and the memory's name and checksum with it", func() {
      assert Limits.chunkBytes + 10_000 < messageBytes;
    }),
    test("inline data is said to come in chunks as large as one may be", func() {
      assert Nat32.toNat(Limits.inlineChunkSize) == Limits.chunkBytes;
    }),
    test("an upload as large as allowed needs no more chunks than allowed", func() {
      assert Nat64.toNat(Limits.uploadBytes) <= Limits.chunksPerMemory * Limits.chunkBytes;
    }),
    test("a page of records fits a reply, even if the last record is a large one", func() {
      assert Limits.pageBytes + Limits.recordBytes < messageBytes;
    }),
    test("the whole capsule that get_capsule shows fits a reply", func() {
      assert Limits.capsuleViewBytes + 90_000 < messageBytes and Limits.rosterBytes + 90_000 < messageBytes;
    }),
    test("a single record leaves room for others in the roster", func() {
      assert Limits.recordBytes < Limits.rosterBytes;
    }),
    test("the page that comes unasked is no larger than the largest", func() {
      assert Limits.defaultPage <= Limits.largestPage;
    }),
  ];
};
