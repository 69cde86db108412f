"""The node around the subnet: rounds, keys, certificates, the HTTP API, and the process that serves it.

Owns what clients see of the replica. Does not own what a message does (`subnet`).
"""
