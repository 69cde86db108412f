"""An Internet Computer replica for development and tests: one subnet, one node, in Python on wasmtime.

Owns what a subnet and its node do. Does not own the protocol's formats (`ic`) or Candid (`candid`), and knows nothing
of the factory. Rooms, each knowing only those before it: `runtime` (Wasm), `subnet` (canisters and messages),
`system_canisters` (canisters of other subnets that tools call), `store` (the state on disk), `node` (rounds,
certificates and HTTP).
"""
