"""The management canister `aaaaa-aa`: creates, configures, installs, stops and deletes canisters.

Owns what its methods do. Does not own who may call them (`access`), their Candid types (`management_interface`),
settings (`canister_settings`), installation (`install`), or the rules for ingress (`ingress`).

Source: interface specification, "The IC management canister".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.engine import Engine
from canister_factory.replica.runtime.execution import CanisterError, RejectCode, Response
from canister_factory.replica.subnet import chunk_store, stopping
from canister_factory.replica.subnet.access import (
    managed,
    require_caller_is_canister,
    require_owner,
    require_stated_version,
)
from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.canister import (
    CanisterState,
    Settings,
    Status,
    text_of,
)
from canister_factory.replica.subnet.canister_history import Change
from canister_factory.replica.subnet.canister_settings import (
    changed_settings,
    environment_hash,
    require_affordable,
    require_wasm_memory,
)
from canister_factory.replica.subnet.charges import Charges
from canister_factory.replica.subnet.cycles import UPLOAD_CHUNK_INSTRUCTIONS, Prices
from canister_factory.replica.subnet.http_outcalls import HttpOutcalls
from canister_factory.replica.subnet.information import Information
from canister_factory.replica.subnet.ingress import is_charged_afterwards
from canister_factory.replica.subnet.install import Installation, install, uninstall
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.management_interface import (
    QUERY_ONLY,
    Argument,
    Result,
    decode_argument,
    encode_result,
    method_type,
    target_of,
)
from canister_factory.replica.subnet.messages import FromCanister, FromIngress, Request
from canister_factory.replica.subnet.snapshot import CHUNK_BYTES
from canister_factory.replica.subnet.snapshot_transfer import SnapshotTransfer
from canister_factory.replica.subnet.snapshots import Snapshots
from canister_factory.replica.subnet.state import CANISTER_ID_SUFFIX, SubnetState

DEFAULT_PROVISIONAL_CYCLES = 100_000_000_000_000


class Management:
    """The methods, as a builtin of `Calls`."""

    def __init__(
        self,
        state: SubnetState,
        calls: Calls,
        engine: Engine,
        prices: Prices,
        listeners: Listeners,
        information: Information,
        outcalls: HttpOutcalls,
    ) -> None:
        self._state = state
        self._calls = calls
        self._engine = engine
        self._prices = prices
        self._listeners = listeners
        charges = self._charges = Charges(state, prices)
        self._methods: dict[str, Callable[[Request, Argument], Result | None]] = {
            "create_canister": self._create_canister,
            "provisional_create_canister_with_cycles": self._provisional_create,
            "provisional_top_up_canister": self._provisional_top_up,
            "update_settings": self._update_settings,
            "upload_chunk": self._upload_chunk,
            "clear_chunk_store": self._clear_chunk_store,
            "stored_chunks": self._stored_chunks,
            "install_code": self._install_code,
            "install_chunked_code": self._install_chunked_code,
            "uninstall_code": self._uninstall_code,
            "start_canister": self._start_canister,
            "stop_canister": self._stop_canister,
            "delete_canister": self._delete_canister,
            "deposit_cycles": self._deposit_cycles,
            "raw_rand": self._raw_rand,
            **information.methods,
            **Snapshots(state, calls, engine, charges, listeners, self._change).methods,
            **SnapshotTransfer(state, charges).methods,
            **outcalls.methods,
        }

    def handle(self, request: Request) -> Response | None:
        """Executes one call; None when it is answered later.

        Raises:
            CanisterError: the call is rejected.
        """
        if request.method in QUERY_ONLY:
            raise CanisterError(
                RejectCode.CANISTER_REJECT, f"{request.method} can only be called by queries.", "IC0406"
            )
        return self._execute(request)

    def _execute(self, request: Request) -> Response | None:
        argument = decode_argument(request.method, request.arg)
        require_stated_version(request, argument)
        try:
            result = self._methods[request.method](request, argument)
        finally:
            self._charge_delayed(request, argument)
        if not method_type(request.method).is_query:
            self._note_changes(argument)
        return None if result is None else encode_result(request.method, result)

    def query(self, request: Request) -> Response:
        """Executes a query call: only methods that the interface declares as queries.

        Raises:
            CanisterError: the query is rejected.
        """
        if not method_type(request.method).is_query:
            raise CanisterError(
                RejectCode.CANISTER_ERROR,
                f"Management canister aaaaa-aa has no query method '{request.method}'",
                "IC0536",
            )
        response = self._execute(request)
        assert response is not None
        return response

    # --- creation and cycles -----------------------------------------------------------------------------------------

    def _create_canister(self, request: Request, argument: Argument) -> Result:
        require_caller_is_canister(request)
        settings = self._new_settings(request, argument)
        fee = self._prices.of_creation()
        if request.cycles < fee:
            raise CanisterError(
                RejectCode.CANISTER_REJECT,
                f"Creating a canister requires a fee of {fee} that is deducted from the canister's initial balance but "
                f"only {request.cycles} cycles were received with the create_canister request.",
                "IC0403",
            )
        require_affordable(CanisterState(b"", settings, balance=request.cycles - fee), Settings(), self._prices)
        canister = self._new_canister(request, argument, settings, None)
        canister.balance = request.cycles - fee
        self._state.note_consumed(canister, fee, "canister_creation")
        request.cycles = 0
        return ({"canister_id": Principal(canister.id)},)

    def _provisional_create(self, request: Request, argument: Argument) -> Result:
        specified = argument["specified_id"]
        settings = self._new_settings(request, argument)
        amount = DEFAULT_PROVISIONAL_CYCLES if argument["amount"] is None else argument["amount"]
        require_affordable(CanisterState(b"", settings, balance=amount), Settings(), self._prices)
        canister = self._new_canister(request, argument, settings, None if specified is None else specified.bytes)
        self._state.mint(canister, amount)
        return ({"canister_id": Principal(canister.id)},)

    def _new_settings(self, request: Request, argument: Argument) -> Settings:
        return changed_settings(Settings(controllers=(request.caller,)), argument["settings"])

    def _new_canister(
        self, request: Request, argument: Argument, settings: Settings, specified_id: bytes | None
    ) -> CanisterState:
        if specified_id is None:
            canister_id = self._state.next_canister_id()
        else:
            canister_id = self._checked_specified_id(specified_id)
        now = self._state.time_ns
        canister = CanisterState(canister_id, settings, created_ns=now, last_heartbeat_ns=now)
        canister.record(
            self._change(
                request,
                argument,
                canister,
                "creation",
                controllers=settings.controllers,
                environment_hash=environment_hash(argument["settings"]),
            )
        )
        self._state.transaction.put(self._state.canisters, canister_id, canister)
        self._listeners.canister_changed(canister_id)
        return canister

    def _checked_specified_id(self, canister_id: bytes) -> bytes:
        shown = text_of(canister_id)
        if canister_id in self._state.canisters:
            raise CanisterError(
                RejectCode.SYS_TRANSIENT,
                f"Unsuccessful canister creation: canister id {shown} already exists.",
                "IC0205",
            )
        if len(canister_id) != 10 or not canister_id.endswith(CANISTER_ID_SUFFIX):
            raise CanisterError(RejectCode.CANISTER_REJECT, f"The `specified_id` {shown} is no canister id.", "IC0408")
        if self._state.is_allocated_here(canister_id):
            raise CanisterError(
                RejectCode.CANISTER_REJECT,
                f"The `specified_id` {shown} lies in the range from which this network gives ids; leave it out, or "
                "give one outside of it.",
                "IC0408",
            )
        return canister_id

    def _provisional_top_up(self, request: Request, argument: Argument) -> Result:
        self._state.mint(self._target(argument), argument["amount"])
        return ()

    def _deposit_cycles(self, request: Request, argument: Argument) -> Result:
        canister = self._target(argument)
        self._state.credit(canister, request.cycles)
        request.cycles = 0
        return ()

    # --- settings and lifecycle --------------------------------------------------------------------------------------

    def _update_settings(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        after = changed_settings(canister.settings, argument["settings"])
        if argument["settings"]["wasm_memory_limit"] is not None and canister.instance is not None:
            require_wasm_memory(after, canister.instance.memory_bytes)
        require_affordable(replace(canister, settings=after), canister.settings, self._prices)
        canister.settings = after
        canister.trim_logs()
        canister.version += 1
        if argument["settings"]["controllers"] is not None:  # an entry also where they stay the same
            change = self._change(request, argument, canister, "controllers_change", controllers=after.controllers)
            canister.record(change)
            self._listeners.canister_changed(canister.id)
        return ()

    def _start_canister(self, request: Request, argument: Argument) -> Result:
        stopping.start(managed(self._state, request, argument), self._calls.respond)
        return ()

    def _stop_canister(self, request: Request, argument: Argument) -> None:
        canister = managed(self._state, request, argument)
        stopping.stop(canister, request.origin, request.cycles, self._state.time_ns, self._calls.respond)

    def _delete_canister(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        if canister.status is not Status.STOPPED:
            raise CanisterError(
                RejectCode.CANISTER_ERROR,
                f"Canister {text_of(canister.id)} must be stopped before it is deleted.",
                "IC0510",
            )
        self._state.consume(canister, canister.balance, "uninstall")
        if canister.instance is not None:
            self._state.transaction.afterwards(canister.instance.close)
        self._state.transaction.pop(self._state.canisters, canister.id, in_order=True)
        self._listeners.canister_changed(canister.id)
        return ()

    # --- code --------------------------------------------------------------------------------------------------------

    def _upload_chunk(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)

        def pay() -> None:
            self._charges.take_for_work(canister, UPLOAD_CHUNK_INSTRUCTIONS, CHUNK_BYTES)

        return ({"hash": chunk_store.upload(canister, argument["chunk"], pay)},)

    def _clear_chunk_store(self, request: Request, argument: Argument) -> Result:
        managed(self._state, request, argument).chunks = {}
        return ()

    def _stored_chunks(self, request: Request, argument: Argument) -> Result:
        return ([{"hash": digest} for digest in managed(self._state, request, argument).chunks],)

    def _install_code(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        return self._install(request, argument, canister, argument["wasm_module"])

    def _install_chunked_code(self, request: Request, argument: Argument) -> Result:
        canister = store = managed(self._state, request, argument, "target_canister")
        if not (work := self._calls.work).has_begun:
            if argument["store_canister"] is not None:
                store = self._state.existing(argument["store_canister"].bytes)
                require_owner(store, request.caller)
            hashes = [item["hash"] for item in argument["chunk_hashes_list"]]
            work.kept = chunk_store.assemble(store, hashes, argument["wasm_module_hash"])
        return self._install(request, argument, canister, work.kept)

    def _install(self, request: Request, argument: Argument, canister: CanisterState, wasm: bytes) -> Result:
        mode: Case = argument["mode"]
        options = (mode.value if mode.tag == "upgrade" else None) or {}
        persistence = options.get("wasm_memory_persistence")
        installation = Installation(
            mode=str(mode.tag),
            wasm=wasm,
            arg=argument["arg"],
            caller=request.caller,
            skip_pre_upgrade=bool(options.get("skip_pre_upgrade")),
            memory_persistence=None if persistence is None else str(persistence.tag),
        )
        module = install(installation, request, canister, self._engine, self._calls, self._state, self._prices)
        canister.record(
            self._change(
                request, argument, canister, "code_deployment", mode=installation.mode, module_hash=module.hash
            )
        )
        self._listeners.canister_changed(canister.id)
        return ()

    def _uninstall_code(self, request: Request, argument: Argument) -> Result:
        canister = managed(self._state, request, argument)
        uninstall(canister, self._calls, self._state)
        canister.record(self._change(request, argument, canister, "code_uninstall"))
        self._listeners.canister_changed(canister.id)
        return ()

    # --- randomness --------------------------------------------------------------------------------------------------

    def _raw_rand(self, request: Request, argument: Argument) -> Result:
        return (self._state.draw_randomness(),)

    def _note_changes(self, argument: Argument) -> None:
        """Has the canister that was managed looked at: its memory, and when a stop or a timer of new code is due."""
        canister_id = target_of(argument)
        canister = None if canister_id is None else self._state.canisters.get(canister_id)
        if canister is not None:
            self._state.transaction.touch(canister)
            self._calls.watch_memory(canister)
            self._calls.changed(canister)

    # --- charges -----------------------------------------------------------------------------------------------------

    def _charge_delayed(self, request: Request, argument: Argument) -> None:
        """Takes the price of a user's message that was executed before it was paid for, if the balance allows it."""
        if not isinstance(request.origin, FromIngress) or not is_charged_afterwards(request):
            return
        with suppress(CanisterError):
            cost = self._prices.of_ingress(len(request.method) + len(request.arg))
            self._charges.take(self._target(argument), cost, "ingress_induction")

    # --- targets and records -----------------------------------------------------------------------------------------

    def _target(self, argument: Argument) -> CanisterState:
        return self._state.canister(argument["canister_id"].bytes)

    def _change(
        self, request: Request, argument: Argument, canister: CanisterState, kind: str, **details: Any
    ) -> Change:
        stated = argument["sender_canister_version"]
        return Change(
            timestamp_ns=self._state.time_ns,
            canister_version=canister.version,
            actor=request.caller,
            from_canister=isinstance(request.origin, FromCanister),
            actor_version=stated,
            kind=kind,
            **details,
        )
