"""Arguments with which the backend's methods for admins, staff and operators can be called, by who may call them."""

from __future__ import annotations

from typing import Any

from canister_factory.candid.values import Case
from canister_factory.factory.funding import DEAREST_PRICES
from support.backend_world import OWNER, STRANGER, failure

LEASE = {"owner": OWNER, "lease": 1}
SETTINGS = {
    "threshold": 1,
    "operating_minimum": 1,
    "funded_days": 1,
    "prices": DEAREST_PRICES.model_dump(),
    "cycles_per_day": 10**15,
}
USAGE = dict.fromkeys(
    ("content_bytes", "record_bytes", "memories", "galleries", "capsules", "uploads", "nonces"), 10**6
)
QUOTAS = {"person": USAGE | {"memories": 9, "galleries": 9}, "total": USAGE, "heap_bytes": 10**9}
PROGRESS = {"stage": Case("Importing"), "bytes_done": 0, "bytes_total": 0, "items_done": 0, "items_total": 0}
PAGE: dict[str, Any] = {}

ADMIN_ONLY: dict[str, tuple[Any, ...]] = {
    "add_admin": (STRANGER,),
    "remove_admin": (STRANGER,),
    "list_admins": (),
    "add_operator": (STRANGER,),
    "remove_operator": (STRANGER,),
    "clear_creation_state": (OWNER,),
    "pay_rest": (OWNER,),
    "abort_creation": (OWNER, "because"),
    "set_admission": (Case("Listed"),),
    "add_admitted": (STRANGER,),
    "remove_admitted": (STRANGER,),
    "approve_creation": (OWNER,),
    "decline_creation": (OWNER, "because"),
    "set_personal_canister_creation_enabled": (False,),
    "set_creation_limits": ({"max_in_progress": 1, "max_per_hour": 1},),
    "set_quotas": (QUOTAS,),
    "set_capsule_switches": ({"new_capsules": True, "writes": True},),
    "set_personal_canister_settings": ({"freezing_threshold": 1, "wasm_memory_limit": 10**9},),
    "get_personal_canister_creation_stats": (),
    "register_release": ({"module_hash": bytes(32), "api_version": "1.0.0", "note": ""},),
    "revoke_release": (bytes(32),),
    "set_reserve_settings": (SETTINGS,),
    "set_reserve_threshold": (1,),
    "top_up_reserve": (),
    "acknowledge_notification": (1,),
    "set_migration_enabled": (False,),
    "get_migration_stats": (),
}
STAFF_ONLY: dict[str, tuple[Any, ...]] = {
    "get_user_creation_status": (OWNER,),
    "list_all_creation_states": (PAGE,),
    "get_creation_states_by_status": (Case("Failed"), PAGE),
    "list_registry": (PAGE,),
    "list_operators": (),
    "get_registry_entry": (OWNER,),
    "look_at_canisters": ([OWNER],),
    "get_reserve_status": (),
    "get_creation_limits": (),
    "get_personal_canister_settings": (),
    "get_inventory": (),
    "get_quotas": (),
    "get_user_quota": (OWNER,),
    "get_consumption_report": (None,),
    "list_consumption": (PAGE,),
    "list_notifications": (PAGE,),
    "list_audit_log": (PAGE,),
    "list_errors": (PAGE,),
    "get_error_rate": (None,),
    "list_open_requests": (PAGE,),
    "list_admitted": (PAGE,),
    "list_waiting_requests": (PAGE,),
}
OPERATOR_ONLY: dict[str, tuple[Any, ...]] = {
    "claim_creation": ({"owner": OWNER, "worker": "w"},),
    "renew_lease": (LEASE,),
    "release_lease": (LEASE,),
    "hand_on_creation": (LEASE, STRANGER),
    "report_progress": (LEASE, PROGRESS, ""),
    "begin_export": (LEASE, True),
    "list_export_entries": (LEASE, None, None),
    "get_export_items": (LEASE, []),
    "get_export_memory_manifests": (LEASE, []),
    "read_export_chunk": (LEASE, "m", 0),
    "provision_canister": (LEASE,),
    "start_over": (LEASE,),
    "verify_creation": (LEASE,),
    "complete_creation": (LEASE,),
    "fail_creation": (LEASE, failure()),
}
