"""Runs a canister's Wasm: instrumentation, memories, the System API.

Owns one execution of one canister. Does not own which message runs, or what becomes of its effects (`subnet`).
"""
