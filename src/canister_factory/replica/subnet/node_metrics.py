"""How many blocks the subnet's node proposed, sampled once a day.

Owns the samples. Does not own who may see them (`information`). A round that changed something counts as a block.

Source: interface specification, "IC method node_metrics_history".
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.replica.subnet.cycles import DAY_NS

MAX_SAMPLES = 60


@dataclass(frozen=True, slots=True)
class NodeSample:
    """The node's total at the end of a UTC day; of the present day, so far."""

    timestamp_ns: int
    blocks: int


def count_block(samples: list[NodeSample], time_ns: int) -> None:
    """Counts one block; the newest sample is the present day's."""
    blocks = samples[-1].blocks + 1 if samples else 1
    if samples and samples[-1].timestamp_ns // DAY_NS == time_ns // DAY_NS:
        samples.pop()
    samples.append(NodeSample(time_ns, blocks))
    del samples[:-MAX_SAMPLES]


def samples_since(samples: list[NodeSample], start_ns: int) -> list[NodeSample]:
    """Samples at or after a time, oldest first; of each UTC day one."""
    return [sample for sample in samples if sample.timestamp_ns >= start_ns]
