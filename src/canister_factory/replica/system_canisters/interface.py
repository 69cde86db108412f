"""What system canisters have in common: a `.did` file, and a Python function for each of its methods.

Owns decoding arguments, encoding results and which methods are queries. Does not own what the methods do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.resources import files
from typing import Any

from canister_factory.candid.decoding import decode
from canister_factory.candid.encoding import encode
from canister_factory.candid.errors import CandidError
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import Func, Service, resolve
from canister_factory.replica.runtime.execution import CanisterError, RejectCode, Response
from canister_factory.replica.subnet.messages import Request
from canister_factory.replica.subnet.subnet import Builtin, Subnet

Method = Callable[..., Any]
"""Called with the subnet, the request and the decoded arguments; returns the only result."""


class SystemCanister:
    """A canister of the network itself.

    Args:
        canister_id: its id on the Internet Computer.
        did: the name of its interface file beside this module; it may import `management.did`.
        methods: what each method of the interface does.
    """

    def __init__(self, canister_id: bytes, did: str, methods: Mapping[str, Method]) -> None:
        self.id = canister_id
        self._did = did
        self._methods = methods

    def __repr__(self) -> str:
        return f"<SystemCanister {Principal(self.id)} {self._did}>"

    def builtin(self) -> Builtin:
        """As a part of a subnet."""
        return Builtin(update=self._update, query=self._query)

    def method_type(self, method: str) -> Func:
        """The Candid type of a method.

        Raises:
            CanisterError: IC0536, there is no such method.
        """
        declared = self._types.get(method)
        if declared is None:
            raise self._error("IC0536", f"Canister has no method '{method}'; only a part of it is emulated")
        return declared

    @cached_property
    def _types(self) -> dict[str, Func]:
        from canister_factory.candid.did import parse_did  # a replica answers before these canisters are called

        service = parse_did(_interface_text(self._did), _interface_text, self._did).service
        assert service is not None
        resolved = resolve(service)
        assert isinstance(resolved, Service)
        return {name: resolved.method(name) for name, _ in resolved.methods}

    def _update(self, subnet: Subnet, request: Request) -> Response:
        declared = self.method_type(request.method)
        try:
            arguments = decode(request.arg, declared.args)
        except CandidError as error:
            raise self._error("IC0503", f"failed to decode the arguments of '{request.method}': {error}") from error
        result = self._methods[request.method](subnet, request, *arguments)
        return Response(encode(declared.results, (result,)))

    def _query(self, subnet: Subnet, request: Request) -> Response:
        if not self.method_type(request.method).is_query:
            raise self._error("IC0536", f"Canister has no query method '{request.method}'")
        return self._update(subnet, request)

    def _error(self, error_code: str, message: str) -> CanisterError:
        return CanisterError(
            RejectCode.CANISTER_ERROR, f"Error from Canister {Principal(self.id)}: {message}.", error_code
        )


def _interface_text(name: str) -> str:
    room = "subnet" if name == "management.did" else "system_canisters"
    return (files("canister_factory.replica") / room / name).read_text(encoding="utf-8")
