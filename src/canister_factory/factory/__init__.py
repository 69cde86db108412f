"""The orchestrator: the stages of a creation, how they go on after a failure, verification and handoff."""
