"""What the management canister tells of canisters and of the subnet: status, history, logs, metadata, cycles, nodes.

Owns these methods. Does not own what they tell of, or counting cycles (`state`).

Source: interface specification, "The IC management canister".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.access import (
    managed,
    require_admin,
    require_caller_is_canister,
    require_controller,
)
from canister_factory.replica.subnet.canister import LogRecord, Status, text_of
from canister_factory.replica.subnet.canister_history import change_record
from canister_factory.replica.subnet.canister_settings import settings_record
from canister_factory.replica.subnet.cycles import Prices
from canister_factory.replica.subnet.management_interface import Argument, Result
from canister_factory.replica.subnet.messages import Request
from canister_factory.replica.subnet.node_metrics import samples_since
from canister_factory.replica.subnet.state import CANISTER_ID_SUFFIX, CYCLES_USES, SubnetState
from canister_factory.version import __version__

REPLICA_VERSION = f"canister-factory {__version__}"
REGISTRY_VERSION = 1
_QUERY_STATISTICS = (
    "num_calls_total",
    "num_instructions_total",
    "request_payload_bytes_total",
    "response_payload_bytes_total",
)


class Information:
    """The methods, by name in `methods`.

    Args:
        subnet_id: of this subnet, the only one that there is.
        node_id: of its only node.
    """

    def __init__(self, state: SubnetState, prices: Prices, subnet_id: bytes, node_id: bytes) -> None:
        self._state = state
        self._subnet_id = subnet_id
        self._node_id = node_id
        self._prices = prices
        self.methods: dict[str, Callable[[Request, Argument], Result]] = {
            "canister_status": self._canister_status,
            "canister_info": self._canister_info,
            "fetch_canister_logs": self._fetch_canister_logs,
            "canister_metadata": self._canister_metadata,
            "canister_metrics": self._canister_metrics,
            "list_canisters": self._list_canisters,
            "subnet_info": self._subnet_info,
            "node_metrics_history": self._node_metrics_history,
        }

    def _canister_status(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        metrics = canister.memory_metrics()
        return (
            {
                "status": Case(canister.status.name.lower()),
                "ready_for_migration": canister.status is Status.STOPPED,
                "version": canister.version,
                "settings": settings_record(canister.settings),
                "module_hash": canister.module.hash if canister.module else None,
                "memory_size": sum(metrics.values()),
                "memory_metrics": metrics,
                "cycles": canister.balance,
                "reserved_cycles": 0,
                "idle_cycles_burned_per_day": canister.idle_cycles_per_day(self._prices),
                "query_stats": dict.fromkeys(_QUERY_STATISTICS, 0),  # collected by real subnets over many nodes
            },
        )

    def _canister_info(self, request: Request, argument: Argument) -> Result:
        require_caller_is_canister(request)
        canister = self._state.existing(argument["canister_id"].bytes)
        wanted = argument["num_requested_changes"] or 0
        changes = canister.history[-wanted:] if wanted else []
        return (
            {
                "total_num_changes": canister.history_length,
                "recent_changes": [change_record(change) for change in changes],
                "module_hash": canister.module.hash if canister.module else None,
                "controllers": [Principal(controller) for controller in canister.settings.controllers],
            },
        )

    def _fetch_canister_logs(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        wanted = _log_filter(argument["filter"])
        records = [
            {"idx": record.index, "timestamp_nanos": record.timestamp_ns, "content": record.content.encode()}
            for record in canister.logs
            if wanted(record)
        ]
        return ({"canister_log_records": records},)

    def _canister_metadata(self, request: Request, argument: Argument) -> Result:
        require_caller_is_canister(request)
        canister = self._state.existing(argument["canister_id"].bytes)
        name = argument["name"]
        sections = canister.module.custom_sections if canister.module is not None else {}
        if name not in sections:
            raise CanisterError(
                RejectCode.CANISTER_REJECT,
                f"The canister {text_of(canister.id)} has no metadata with the name {name[:100]!r}.",
                "IC0406",
            )
        visibility, content = sections[name]
        if visibility != "public":
            require_controller(canister, request.caller)
        return ({"value": content},)

    def _canister_metrics(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        return ({"cycles_consumed": {use: canister.consumed.get(use, 0) for use in CYCLES_USES}},)

    def _list_canisters(self, request: Request, argument: Argument) -> Result:
        require_admin(self._state, request.caller)
        ranges = consecutive(self._state.canisters)
        return ({"canisters": [{"start": Principal(start), "end": Principal(end)} for start, end in ranges]},)

    def _subnet_info(self, request: Request, argument: Argument) -> Result:
        require_caller_is_canister(request)
        self._require_this_subnet(argument)
        return ({"replica_version": REPLICA_VERSION, "registry_version": REGISTRY_VERSION},)

    def _node_metrics_history(self, request: Request, argument: Argument) -> Result:
        require_caller_is_canister(request)
        self._require_this_subnet(argument)
        samples = samples_since(self._state.node_metrics, argument["start_at_timestamp_nanos"])
        return (
            [
                {
                    "timestamp_nanos": sample.timestamp_ns,
                    "node_metrics": [
                        {
                            "node_id": Principal(self._node_id),
                            "num_blocks_proposed_total": sample.blocks,
                            "num_block_failures_total": 0,
                        }
                    ],
                }
                for sample in samples
            ],
        )

    def _require_this_subnet(self, argument: Argument) -> None:
        asked = argument["subnet_id"].bytes
        if asked != self._subnet_id:
            raise CanisterError(
                RejectCode.CANISTER_REJECT,
                f"Subnet {text_of(asked)} not found: this network has the subnet {text_of(self._subnet_id)} only.",
                "IC0404",
            )


def _log_filter(given: Case | None) -> Callable[[LogRecord], bool]:
    """Which log records a filter lets through: a range by index or time, without its end."""
    if given is None:
        return lambda record: True
    start, end = given.value["start"], given.value["end"]
    if given.tag == "by_idx":
        return lambda record: bool(start <= record.index < end)
    return lambda record: bool(start <= record.timestamp_ns < end)


def consecutive(canister_ids: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Canister ids as ranges, first and last of each included; ascending."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(int.from_bytes(canister_id[:8], "big") for canister_id in canister_ids):
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return [(_canister_id(first), _canister_id(last)) for first, last in ranges]


def _canister_id(number: int) -> bytes:
    return number.to_bytes(8, "big") + CANISTER_ID_SUFFIX
