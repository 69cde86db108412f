"""The IC protocol, client side: identities, requests, certificates, networks, the agent, the management canister.

Nothing is imported here, so that the embedded replica can take the protocol half (`request_id`, `envelope`,
`hash_tree`, `errors`) without the client's. Does not own what canisters mean by their replies.
"""
