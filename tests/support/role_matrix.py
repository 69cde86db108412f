"""Every method of both contracts, called by everybody who has a role: the worlds, the callers, the arguments, and what
came of a call. The table that says what should come of it is in `docs/security.md`.

A call here passes no door, as calls of canisters don't: what comes of it is what the method itself decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from canister_factory.candid.decoding import decode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from support.backend_world import (
    ADMIN,
    ANONYMOUS,
    CONTROLLER,
    OPERATOR,
    OTHER_OPERATOR,
    OWNER,
    STRANGER,
    RejectedError,
    World,
    encode_args,
    interface,
    method_of,
    person,
)
from support.personal_world import (
    BACKEND,
    CAPSULE_ID,
    FRIEND,
    PersonalWorld,
    by_principal,
    capsule_record,
    connection,
    gallery,
    group,
    new_memory,
)
from support.role_calls import ADMIN_ONLY, STAFF_ONLY
from support.strangers_world import EXECUTOR, PROBES, SOME_CANISTER, Things, furnish

EXPIRED, FORMER, HELPER = person("expired operator"), person("former operator"), person("helper")
LEASE_SECONDS = 100_000
"""Longer than a lease lasts."""

CANISTERS = ("backend", "importing", "moved")

CALLERS: dict[str, dict[str, Principal]] = {
    "backend": {
        "anonymous": ANONYMOUS,
        "stranger": STRANGER,
        "canister": SOME_CANISTER,
        "executor": EXECUTOR,
        "owner": OWNER,
        "operator with the lease": OPERATOR,
        "operator without a lease": OTHER_OPERATOR,
        "operator with an expired lease": EXPIRED,
        "former operator": FORMER,
        "admin": ADMIN,
        "controller": CONTROLLER,
    },
    "importing": {
        "anonymous": ANONYMOUS,
        "stranger": STRANGER,
        "canister": SOME_CANISTER,
        "executor": EXECUTOR,
        "owner": OWNER,
        "capsule controller": HELPER,
        "operator": OPERATOR,
        "former operator": FORMER,
        "admin": ADMIN,
        "backend": BACKEND,
    },
}
CALLERS["moved"] = CALLERS["importing"]


def role_world(canister: str) -> tuple[World, Things, dict[str, int]]:
    """The world, its things, and the number of the lease that each caller has."""
    if canister == "backend":
        return _backend()
    world = PersonalWorld()
    granted = {"granted_at": 0, "granted_by": by_principal(OWNER)}
    executor = {"person": EXECUTOR, "named_at": 0, "named_by": OWNER}
    record = capsule_record(controllers=[{"key": by_principal(HELPER), "value": granted}], executors=[executor])
    session = world.begin()
    world.put(session, Case("Capsule", record))
    if canister == "importing":
        world.import_memory(session, "mem-1", [b"x"])
        world.put(session, Case("Gallery", gallery("gal-1", "mem-1")), Case("ConnectionGroup", group("group-1")))
        world.put(session, Case("Connection", connection(by_principal(FRIEND))))
        things = Things(CAPSULE_ID, "mem-1", "gal-1", "group-1", 1, OWNER, session=session)
        return world, things, {}
    world.ok("finalize_import", session, sender=OPERATOR)
    world.manage(
        "update_settings", {"canister_id": world.personal, "settings": {"controllers": [OWNER]}}, sender=OPERATOR
    )
    things = furnish(world, CAPSULE_ID)
    world.ok("prove_nonce", NONCE, sender=OWNER)
    return world, Things(**(vars(things) | {"session": session})), {}


def _backend() -> tuple[World, Things, dict[str, int]]:
    world = World(operators=[OPERATOR, OTHER_OPERATOR, EXPIRED, FORMER])
    for someone in (STRANGER, OWNER):
        world.ok("register", sender=someone)
    world.capsule(STRANGER)
    things = furnish(world, world.capsule(OWNER))
    world.request(OWNER)
    leases = {}
    for caller, principal in (("operator with an expired lease", EXPIRED), ("former operator", FORMER)):
        leases[caller] = world.claim(operator=principal)["lease"]
        world.advance(LEASE_SECONDS)
    world.ok("remove_operator", FORMER, sender=ADMIN)
    # What the owner's upload held has expired meanwhile.
    upload = world.ok("begin_memory_upload", {"memory": new_memory(), "total_size": 4, "chunk_size": 2}, sender=OWNER)[
        "upload_id"
    ]
    lease, canister = world.provisioned(OWNER)
    world.ok("prove_nonce", NONCE, sender=OWNER)
    world.approve()
    release = world.call("list_releases", sender=ADMIN)[0]["module_hash"]
    found = vars(things) | {
        "lease": lease["lease"],
        "canister": canister,
        "notification": 1,
        "release": release,
        "upload": upload,
    }
    return world, Things(**found), leases


def methods(canister: str) -> list[str]:
    """The methods of its contract."""
    service = interface(kind_of(canister)).service
    assert service is not None
    return [name for name, _ in service.methods]


def kind_of(canister: str) -> str:
    return "backend" if canister == "backend" else "personal"


PAGE: dict[str, Any] = {}
NONCE = "a nonce that the owner proved"
PLAIN: dict[str, tuple[Any, ...]] = {
    "register_with_nonce": ("a nonce of the caller's own",),
    "prove_nonce": ("a nonce of the caller's own",),
    "verify_nonce": (NONCE,),
    "add_connection": (by_principal(person("peer")),),
    "create_connection_group": ({"name": "x", "members": []},),
    "create_personal_canister": (None,),
    "undo_personal_canister": (None,),
    "request_erasure": (None,),
    "migrate_capsule": (),
    "update_connection_status": (by_principal(FRIEND), Case("Accepted")),
    "remove_connection": (by_principal(FRIEND),),
    "remove_admin": (STRANGER,),
    "get_personal_canister_id": (OWNER,),
    "create_capsule": (by_principal(person("subject")),),
}
"""Arguments of calls for which neither `PROBES` nor `role_calls` has the right ones."""


def arguments(canister: str, method: str, things: Things) -> tuple[Any, ...]:
    """Arguments that name the owner's things."""
    kind = kind_of(canister)
    if method in PLAIN:
        return PLAIN[method]
    if method in ADMIN_ONLY | STAFF_ONLY and method not in PROBES[kind]:
        return (ADMIN_ONLY | STAFF_ONLY)[method]
    if method in PROBES[kind]:
        return PROBES[kind][method][0](things)
    assert not method_of(kind, method).args, f"{method} has arguments that nobody knows: see support/role_matrix"
    return ()


@dataclass(frozen=True)
class RoleWorld:
    """A canister with everything that the calls name."""

    canister: str
    world: World
    things: Things
    leases: dict[str, int]

    def called(self, method: str, caller: str) -> str:
        """What comes of the call; nothing of it stays."""
        things = Things(**(vars(self.things) | {"lease": self.leases.get(caller, self.things.lease)}))
        with self.undone():
            try:
                return outcome(self._answer(method, arguments(self.canister, method, things), caller))
            except RejectedError as rejected:
                return f"rejected: {rejected}"

    def answer(self, method: str, caller: str) -> Any:
        """What the call is answered; nothing of it stays.

        Raises RejectedError.
        """
        with self.undone():
            return self._answer(method, arguments(self.canister, method, self.things), caller)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What happens within the block is undone at its end."""
        anchor = self.world.subnet.anchor()
        try:
            yield
        finally:
            self.world.subnet.revert(anchor)

    def _answer(self, method: str, values: tuple[Any, ...], caller: str) -> Any:
        kind = kind_of(self.canister)
        func = method_of(kind, method)
        callee = self.world.personal if isinstance(self.world, PersonalWorld) else self.world.backend
        request = self.world.submit(callee, method, encode_args(func.args, values), CALLERS[self.canister][caller])
        self.world.run()
        (answer,) = decode(self.world.reply(request), func.results)
        return answer


def outcome(answer: Any) -> str:
    """`done`, `nothing` (an empty answer), or the kind of the refusal."""
    if isinstance(answer, Case) and answer.tag == "Err":
        error = answer.value
        return str(error.tag) if isinstance(error, Case) else str(error["kind"].tag)
    value = answer.value if isinstance(answer, Case) and answer.tag == "Ok" else answer
    if value is None and not (isinstance(answer, Case) and answer.tag == "Ok"):
        return "nothing"
    if value == [] or (isinstance(value, dict) and value.get("items") == []):
        return "nothing"
    return "done"
