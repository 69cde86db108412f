"""`Replica`: the embedded replica as programs use it, with the network that it runs.

Owns that network's description. Does not own: the process (`replica.node.process`), or what runs in it.
"""

from __future__ import annotations

from canister_factory.ic.network import Network
from canister_factory.replica.node.process import ReplicaProcess, ReplicaProcessError


class Replica(ReplicaProcess):
    """An Internet Computer network on this computer, for the time of a `with` or `async with` block.

    Needs the extra `replica`. Its arguments, all optional: `state_dir` keeps the network in a directory (without it
    everything is gone at the end), `port` is chosen unless it is given, `log` is a binary file for the replica's log.

    Attributes: `url`, `root_key` (DER), `network` (for `connect`).

    Example:
        with cf.Replica() as replica, cf.connect(replica) as agent:
            print(agent.status())
    """

    def __repr__(self) -> str:
        return f"Replica({self.url if self.running else 'not running'})"

    @property
    def network(self) -> Network:
        """The network that it runs.

        Raises:
            ReplicaProcessError: it isn't running.
        """
        if not self.running:
            raise ReplicaProcessError("the replica is not running: use it within a `with` block")
        return Network("replica", self.url, self.root_key)
