"""The state on disk: checkpoints and the journal between two of them.

Owns the files of a state directory. Does not own the state (`subnet`), or when it is written (`node`).
"""
