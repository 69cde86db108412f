"""Typed clients of our canisters: models, one method per endpoint, and the bundled Wasm with its interfaces."""
