"""Canister Factory: personal canisters on the Internet Computer, created, filled, verified and handed over."""

__version__ = "0.1.0"
