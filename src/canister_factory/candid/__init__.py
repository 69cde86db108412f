"""The Candid codec: types, messages with full subtyping, textual values, `.did` files and models bound to types.

Owns nothing itself; import from the modules. Does not own anything about the network.
"""
