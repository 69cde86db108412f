"""`Replica` as a context manager of both kinds, and a connection to it of both kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

import canister_factory as cf


async def test_a_replica_runs_for_an_async_block_with_url_root_key_and_network() -> None:
    async with cf.Replica() as replica, cf.connect(replica) as agent:
        assert replica.network == cf.Network("replica", replica.url, replica.root_key)
        assert repr(replica) == f"Replica({replica.url})"
        assert (await agent.status()).health == "healthy"
    assert not replica.running
    with pytest.raises(cf.errors.ReplicaProcessError, match="the replica is not running"):
        _ = replica.network


def test_a_replica_with_a_directory_keeps_its_canisters_from_one_block_to_the_next(tmp_path: Path) -> None:
    key = cf.Identity.generate()
    with cf.Replica(tmp_path / "state") as replica, cf.connect(replica, key) as agent:
        management = cf.blocking(cf.ManagementCanister(agent))
        canister_id = management.provisional_create_canister_with_cycles()
        root_key = replica.root_key
    with cf.Replica(tmp_path / "state") as replica, cf.connect(replica, key) as agent:
        assert replica.root_key == root_key
        assert agent.canister_info(str(canister_id)).controllers == (key.sender(),)


def test_a_url_is_connected_to_with_the_root_key_given_or_fetched() -> None:
    with cf.Replica() as replica:
        for options in ({"root_key": replica.root_key}, {"fetch_root_key": True}):
            with cf.connect(replica.url, **options) as agent:
                assert agent.network.root_key == replica.root_key
                assert agent.status().health == "healthy"
