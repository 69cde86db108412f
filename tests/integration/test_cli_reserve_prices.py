"""The prices that creations go by, on the command line: the network's, the dearest known, or a file's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from canister_factory.cli import main
from canister_factory.factory.funding import DEAREST_PRICES, network_label
from support.cli_world import Cli

DEAREST = DEAREST_PRICES.model_dump(mode="json")


def test_a_new_backend_has_the_prices_that_fit_its_network(deployed: Cli) -> None:
    here = network_label(deployed.network.root_key)
    assert deployed.ok("admin", "reserve", "settings").json["prices"] == DEAREST | {"network": here}
    cheaper = deployed.ok("admin", "reserve", "settings", "--dearest-prices", "--funded-days", "7").json
    assert (cheaper["prices"], cheaper["funded_days"]) == (DEAREST, "7")


def test_prices_are_found_out_from_what_is_burned_and_shown_with_those_before(deployed: Cli) -> None:
    deployed.ok("admin", "reserve", "settings", "--dearest-prices")
    found = deployed.ok("admin", "reserve", "settings", "--from-network").json
    assert found["prices"] == DEAREST | {"network": network_label(deployed.network.root_key)}
    assert found["prices_before"] == DEAREST
    [reading] = found["computed_from"]
    assert reading["canister_id"] == str(deployed.backend_id)
    assert int(reading["idle_cycles_burned_per_day"]) > 10**9
    assert reading["memory_size"] > 10**6


def test_a_person_sees_prices_before_and_now(deployed: Cli) -> None:
    typed = deployed.arguments("admin", "reserve", "settings", "--from-network")
    shown = CliRunner().invoke(main, [word for word in typed if word != "--json"]).stdout
    assert "Computed from" in shown
    assert str(deployed.backend_id)[:5] in shown
    assert "before" in shown


def test_who_sees_no_status_finds_out_nothing(deployed: Cli) -> None:
    deployed.ok("admin", "admin", "admins", "add", deployed.id("owner"))
    refused = deployed.run("owner", "reserve", "settings", "--from-network")
    assert (refused.code, "no canister whose status you may see" in refused.error) == (1, True)
    for nobody in ("operator", "stranger"):
        assert deployed.run(nobody, "reserve", "settings", "--from-network").code == 1
    assert "Unauthorized" in deployed.run("stranger", "reserve", "settings", "--from-network").error


def test_prices_of_another_network_are_refused(deployed: Cli, tmp_path: Path) -> None:
    before = deployed.ok("admin", "reserve", "settings").json
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"prices": DEAREST | {"network": "ic"}}))
    refused = deployed.run("admin", "reserve", "settings", "--prices", str(file))
    assert (refused.code, "those of the network 'ic'" in refused.error) == (1, True)
    assert deployed.ok("admin", "reserve", "settings").json == before
    own = before["prices"] | {"creation": "600000000000"}
    file.write_text(json.dumps(own))
    assert deployed.ok("admin", "reserve", "settings", "--prices", str(file)).json["prices"] == own


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "can't read"),
        ("{", "is not JSON"),
        ("[1]", "has no prices"),
        ('{"network": "any"}', "has no prices: creation: field required"),
        (json.dumps(DEAREST | {"creation": "much"}), "has no prices: creation"),
    ],
)
def test_a_file_without_prices_is_refused(deployed: Cli, tmp_path: Path, content: str | None, why: str) -> None:
    file = tmp_path / "prices.json"
    if content is not None:
        file.write_text(content)
    refused = deployed.run("admin", "reserve", "settings", "--prices", str(file))
    assert (refused.code, why in refused.error) == (2, True), refused.error


def test_prices_are_of_one_kind(deployed: Cli) -> None:
    refused = deployed.run("admin", "reserve", "settings", "--from-network", "--dearest-prices")
    assert (refused.code, "one of --from-network" in refused.error) == (2, True)
