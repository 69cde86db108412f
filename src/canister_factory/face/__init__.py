"""What the public Python face adds to the rooms below: connecting, a canister by its interface, the blocking form.

Nothing is imported here. Does not own what the package offers by name: that is `canister_factory` itself.
"""
