"""The files in `ops/`: alert rules of metrics that there are, and a service that systemd takes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from canister_factory.cli import main
from canister_factory.cli.worker_metrics import Metrics
from canister_factory.cli.worker_standing import Standing
from canister_factory.ic.network import Network

OPS = Path(__file__).resolve().parents[2] / "ops"
SERVICE = "canister-factory-worker.service"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=OPS, check=False)


@pytest.fixture
def promtool() -> str:
    """Prometheus' own checker."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    return found


def test_every_alert_is_of_metrics_that_a_worker_has() -> None:
    metrics = Metrics(Standing(1, lambda: 0, back=lambda seconds: None))
    names = set(re.findall(r"^# HELP (\S+)", metrics.page().decode(), re.MULTILINE))
    used = set(re.findall(r"\b(canister_factory_\w+|process_\w+)\b", (OPS / "alerts.yml").read_text()))
    assert len(used) > 10
    assert used - names == set()


def test_every_metric_is_in_the_documentation() -> None:
    page = Metrics(Standing(1, lambda: 0, back=lambda seconds: None)).page().decode()
    names = set(re.findall(r"^# HELP canister_factory_(\S+)", page, re.MULTILINE))
    rows = re.findall(r"^\| (`.*?) \|", (OPS.parent / "docs" / "watching.md").read_text(), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert documented == names


def test_every_alert_has_a_test() -> None:
    alerts = set(re.findall(r"alert: (\w+)", (OPS / "alerts.yml").read_text()))
    tested = set(re.findall(r"CanisterFactory\w+", (OPS / "alerts_test.yml").read_text()))
    assert alerts == tested


def test_the_network_that_the_service_names_is_one() -> None:
    (name,) = re.findall(r"CANISTER_FACTORY_NETWORK=(\w+)", (OPS / SERVICE).read_text())
    assert Network.resolve(name).is_mainnet


def test_the_rules_are_valid(promtool: str) -> None:
    checked = run(promtool, "check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_alerts_fire_when_they_should_and_not_otherwise(promtool: str) -> None:
    tested = run(promtool, "test", "rules", "alerts_test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_systemd_takes_the_service(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = (OPS / SERVICE).read_text()
    here = tmp_path / SERVICE
    here.write_text(unit.replace("/opt/canister-factory/bin/canister-factory", shutil.which("true") or ""))
    verified = run("systemd-analyze", "verify", str(here))
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_service_has_a_name_of_its_own_on_each_machine_and_the_same_after_a_restart() -> None:
    """The backend lets only the same operator under the same name go on with a lease that hasn't ended."""
    (line,) = re.findall(r"^ExecStart=\S+/canister-factory (.*)$", (OPS / SERVICE).read_text(), re.MULTILINE)
    name, *arguments = line.split()
    command = main.get_command(click.Context(main), name)
    assert command is not None
    found = command.make_context(name, arguments, resilient_parsing=True).params
    # The host's name, and an id that each boot has anew: systemd.unit(5), "Specifiers".
    assert found["worker"] == "%H-%b"
    leases = (OPS.parent / "canisters" / "backend" / "Leases.mo").read_text()
    (most,) = re.findall(r"let workerChars = (\d+);", leases)
    assert len("h" * 64 + "-" + "b" * 32) <= int(most)  # HOST_NAME_MAX, and 128 bits as hexadecimal digits


def test_the_service_is_kept_apart_from_the_rest_of_its_machine() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    judged = run("systemd-analyze", "security", "--offline=yes", "--threshold=15", SERVICE)
    assert judged.returncode == 0, judged.stdout
