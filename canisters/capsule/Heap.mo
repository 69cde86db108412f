/// How large the heap is, and the Wasm memory that it is in. Owns these questions only: how large the heap may become is
/// in `Quotas`.
import Prim "mo:⛔";

module {
  /// Bytes that the heap has in use now, garbage included. What it takes to collect it comes on top of them.
  public func bytes() : Nat = Prim.rts_heap_size();

  /// Bytes of the Wasm memory, which never becomes smaller between two upgrades.
  public func memoryBytes() : Nat = Prim.rts_memory_size();
};
