"""The subnet's state machine: canisters, messages, calls, cycles, and the management canister.

Owns what a message changes. Does not own running Wasm (`runtime`), the disk (`store`), or when a round
happens (`node`).
"""
