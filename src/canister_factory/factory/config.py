"""Every knob of the orchestrator, validated in one place. Owns the numbers; does not own what they steer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

NS_PER_SECOND = 10**9
MESSAGE_COPIES = 6
"""How many copies of a message's bytes exist at most while it travels through this process: the reply as received, the
chunk cut out of it, the encoded argument, the envelope, and what the HTTP client buffers on either way."""


class FactoryConfig(BaseModel):
    """How a creation runs.

    Memory: at most `max_window` messages are in flight, each of `max_message_bytes` of chunks, so the bytes that the
    process holds at any time are bounded by

        max_window x max_message_bytes x MESSAGE_COPIES  +  about 1 KB for each item of the capsule

    however large the capsule is: 182 MB and the items with the defaults, when every message is as large as it may be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    worker: str = Field(default="canister-factory", min_length=1, max_length=100)
    """Name under which leases are claimed. The same operator and name may claim again at any time, after a crash; so
    two workers that run at the same time need different names."""

    lease_seconds: float = Field(default=60.0, ge=3, le=600)
    """Duration of a lease; it is renewed when a third of it has passed."""

    start_window: int = Field(default=10, ge=1, le=50)
    """Messages in flight at the start; the window shrinks under pressure and grows again."""

    max_window: int = Field(default=16, ge=1, le=50)
    """Messages in flight at most."""

    max_message_bytes: int = Field(default=1_900_000, ge=1_000, le=2_000_000)
    """Bytes of chunks in one message. The network takes ingress messages of up to 2 MiB, envelope included."""

    max_message_chunks: int = Field(default=200, ge=1, le=2_000)
    """Chunks in one message, however small they are."""

    items_per_message: int = Field(default=100, ge=1, le=100)
    """Records asked for, or memories committed, in one message; the personal canister takes 100 at most."""

    entries_per_page: int = Field(default=1_000, ge=1, le=1_000)
    """Manifest entries in one page."""

    max_entries: int = Field(default=300_000, ge=1)
    """Manifest entries that a side may list at most. A personal canister holds 200,000 memories, 20,000 galleries, and
    some thousands of connections and groups."""

    commit_chunks_per_message: int = Field(default=20_000, ge=1, le=60_000)
    """Chunk checksums (32 bytes each) committed in one message, unless one memory alone has more."""

    free_passes: int = Field(default=8, ge=1, le=20)
    """Copying passes at most while the owner may still write; if what is left doesn't fit a message then, since the
    owner writes as fast as the copy is made, the capsule is locked for the rest."""

    free_verifications: int = Field(default=2, ge=1, le=20)
    """How often a copy made while the owner may write is compared; if the owner wrote in between each time, the
    capsule is locked for the last changes."""

    attempts: int = Field(default=5, ge=1, le=20)
    """How often an idempotent call is made when its outcome stays unknown or the network fails."""

    backoff_seconds: float = Field(default=0.5, ge=0, le=60)
    """First pause between two attempts; it doubles each time."""

    import_margin_bytes: int = Field(default=10_000_000, ge=0)
    """Room above the capsule's present size in the personal canister's import limit, for what is added meanwhile."""

    look_seconds: float = Field(default=20.0, gt=0)
    """Pause between two looks at what becomes of the canister while it is filled; another module ends the run."""

    base_seconds: float = Field(default=3_600.0, gt=0)
    """How long a run may take at most, besides `bytes_per_second`."""

    bytes_per_second: float = Field(default=100_000.0, gt=0)
    """The pace at which a capsule is copied at least: a run of 60 GB may take a week."""

    base_bytes: int = Field(default=1_000_000_000, ge=1)
    """Bytes that a run may send and receive at most, besides `most_copies`."""

    most_copies: int = Field(default=16, ge=1)
    """How often the capsule may be moved in a run at most: the passes, when the owner replaces everything each time."""

    progress_seconds: float = Field(default=5.0, ge=0)
    """Pause between two progress reports to the backend, and before the first; each is an update call."""

    @model_validator(mode="after")
    def _window_starts_within_its_maximum(self) -> FactoryConfig:
        if self.start_window > self.max_window:
            raise ValueError(f"start_window {self.start_window} is above max_window {self.max_window}")
        return self

    @property
    def lease_ns(self) -> int:
        """The lease's duration in nanoseconds."""
        return int(self.lease_seconds * NS_PER_SECOND)
