"""`replica start|status|stop|logs` as people use them: in the background, twice, killed, with things in the way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from canister_factory.replica.node.observation import is_alive
from support.replica_shell import MODULE, Shell, error_of, json_error_of

pytest.importorskip("wasmtime", reason="the embedded replica needs the extra 'replica'")

# --- in the background ----------------------------------------------------------------------------------------------


def test_a_replica_in_the_background_is_ready_when_the_command_returns(shell: Shell) -> None:
    record = shell.background()
    assert set(record) == {"url", "root_key", "pid", "state_dir"}
    assert record["state_dir"] == str(shell.home / "replica")
    status = shell("replica", "status", "--json")
    assert json.loads(status.stdout) == {"status": "healthy", **record}
    stopped = shell("replica", "stop", "--json")
    assert json.loads(stopped.stdout) == {"status": "stopped", "pid": record["pid"]}
    assert not is_alive(record["pid"])
    assert error_of(shell("replica", "status"), 3).endswith("start one with 'canister-factory replica start'")


def test_a_state_directory_keeps_the_prices_that_it_began_with(shell: Shell) -> None:
    shell.background("--prices", "documented")
    assert shell("replica", "stop").returncode == 0
    refused = shell("replica", "start", "--background", "--port", "0", "--prices", "configured")
    assert "this state is kept with documented prices, which stay" in error_of(refused)
    shell.background()
    assert shell("replica", "stop").returncode == 0


def test_people_are_told_where_it_is(shell: Shell) -> None:
    done = shell("replica", "start", "--background", "--port", "0")
    assert (done.returncode, done.stderr) == (0, "")
    fields = dict(line.split(None, 1) for line in done.stdout.splitlines() if line.split()[0] in ("url", "process"))
    shell.pids.append(int(fields["process"]))
    assert fields["url"].startswith("http://127.0.0.1:")
    assert "root key" in done.stdout


def test_the_log_of_the_background_is_shown_by_its_end(shell: Shell) -> None:
    state_dir = Path(shell.background()["state_dir"])
    with (state_dir / "replica.log").open("a") as log:
        log.write("".join(f"line {number}\n" for number in range(5000)) + "odd \x1b[31m\n" + "no end")
    shown = shell("replica", "logs", "-n", "3")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == "line 4999\nodd \\x1b[31m\nno end\n"
    assert shell("replica", "logs", "-n", "0").stdout == ""
    assert len(shell("replica", "logs").stdout.splitlines()) == 100
    whole = shell("replica", "logs", "-n", "1000000").stdout
    assert whole.count("\n") == 5002
    as_json = shell("replica", "logs", "-n", "2", "--json", "--state-dir", str(state_dir))
    assert [json.loads(line) for line in as_json.stdout.splitlines()] == [
        {"message": "odd \x1b[31m"},
        {"message": "no end"},
    ]


def test_records_in_the_log_are_lines_for_people_and_objects_for_programs(shell: Shell) -> None:
    record = shell.background("-v")
    with (Path(record["state_dir"]) / "replica.log").open("a") as log:
        fields = {
            "time": "2026-01-01T00:00:00Z",
            "level": "warning",
            "logger": "canister_factory.x",
            "message": "careful",
        }
        log.write(json.dumps(fields) + "\n")
    shown = shell("replica", "logs", "-n", "1")
    assert shown.stdout == "2026-01-01T00:00:00Z WARNING canister_factory.x: careful\n"
    assert json.loads(shell("replica", "logs", "-n", "1", "--json").stdout) == fields


def following(shell: Shell, log: Path) -> subprocess.Popen[str]:
    """A command that follows the log, and has shown its first line."""
    with log.open("a") as file:
        file.write("before\n")
    process = subprocess.Popen(
        [*MODULE, "replica", "logs", "-f"],
        env={**os.environ, "CANISTER_FACTORY_HOME": str(shell.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "before\n"
    return process


def test_ctrl_c_leaves_the_log_without_a_word(shell: Shell) -> None:
    process = following(shell, Path(shell.background()["state_dir"]) / "replica.log")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 130


def test_following_the_log_ends_with_the_replica_and_shows_its_last_words(shell: Shell) -> None:
    log = Path(shell.background()["state_dir"]) / "replica.log"
    process = following(shell, log)
    assert process.stdout is not None
    with log.open("a") as file:
        file.write("meanwhile\n")
    assert process.stdout.readline() == "meanwhile\n"
    assert shell("replica", "stop").returncode == 0
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


def test_without_a_log_it_is_said_how_to_get_one(shell: Shell) -> None:
    assert "--background" in error_of(shell("replica", "logs"))


def test_why_it_did_not_start_is_one_line_from_the_process_itself(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = shell("replica", "start", "--background", "--port", port)
        as_json = shell("replica", "start", "--background", "--port", port, "--json")
    assert f"port {port} on 127.0.0.1 can't be used (Address already in use)" in error_of(done)
    assert "--port" in json_error_of(as_json)["message"]


def test_a_start_that_dies_shows_the_end_of_its_log(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "wasmtime.py").write_text("raise RuntimeError('the runtime is broken')\n")
    done = shell("replica", "start", "--background", PYTHONPATH=str(tmp_path / "broken"))
    assert "the runtime is broken" in error_of(done)


# --- two commands on one state directory, several replicas ---------------------------------------------------------


@pytest.mark.parametrize("how", [(), ("--background",)])
def test_a_second_start_on_a_state_directory_names_the_process_and_leaves_it_alone(
    shell: Shell, how: tuple[str, ...]
) -> None:
    record = shell.background()
    said = error_of(shell("replica", "start", "--port", "0", *how))
    assert f"is used by another replica (process {record['pid']})" in said
    assert f"stop --state-dir {record['state_dir']}" in said
    assert json.loads(shell("replica", "status", "--json").stdout)["pid"] == record["pid"]
    assert shell("replica", "logs").stdout == "", "the second one's words don't get into the log of the first"


def test_of_two_starts_at_once_one_runs_and_the_state_is_whole(shell: Shell) -> None:
    environment = {**os.environ, "CANISTER_FACTORY_HOME": str(shell.home)}
    starts = [
        subprocess.Popen(
            [*MODULE, "replica", "start", "--background", "--port", "0", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ends = [(start.communicate(timeout=60)[0], start.returncode) for start in starts]
    records = [json.loads(out) for out, code in ends if code == 0]
    assert len(records) == 1
    (record,) = records
    shell.pids.append(record["pid"])
    for out, code in ends:
        if code:
            assert f"(process {record['pid']})" in json.loads(out)["error"]["message"]
    assert shell("replica", "stop").returncode == 0
    assert shell.background()["root_key"] == record["root_key"]


def test_several_replicas_are_told_apart_by_their_state_directory(shell: Shell, tmp_path: Path) -> None:
    first = shell.background("--state-dir", str(tmp_path / "first"))
    done = shell("replica", "start", "--background", "--port", "0", "--state-dir", str(tmp_path / "second"), "--json")
    second = json.loads(done.stdout)
    shell.pids.append(second["pid"])
    assert json.loads(shell("replica", "status", "--json").stdout)["pid"] == second["pid"], "the latest"
    for record in (first, second):
        status = shell("replica", "status", "--json", "--state-dir", record["state_dir"])
        assert json.loads(status.stdout)["pid"] == record["pid"]
    assert shell("replica", "stop", "--state-dir", first["state_dir"]).returncode == 0
    assert (is_alive(first["pid"]), is_alive(second["pid"])) == (False, True)
    assert shell("replica", "stop").returncode == 0


# --- stop: processes that don't end, ids that were used again -------------------------------------------------------


def test_stop_says_what_to_do_about_a_process_that_does_not_end(shell: Shell) -> None:
    record = shell.background()
    os.kill(record["pid"], signal.SIGSTOP)
    said = error_of(shell("replica", "stop", "--timeout", "0.1"))
    assert "did not end within 0.1 seconds. It may be in a long execution: wait, or end it with 'kill -9 " in said
    error = json_error_of(shell("replica", "stop", "--timeout", "0.1", "--json"))
    assert error["context"] == {"pid": record["pid"]}
    assert f"runs but doesn't answer at {record['url']}" in error_of(shell("replica", "status"), 3)
    os.kill(record["pid"], signal.SIGCONT)
    assert shell("replica", "stop").returncode == 0


def test_what_a_killed_replica_left_is_cleared_away(shell: Shell) -> None:
    record = shell.background()
    os.kill(record["pid"], signal.SIGKILL)
    error = json_error_of(shell("replica", "status", "--json"), 3)
    assert error["context"] == {"url": record["url"], "pid": record["pid"]}
    stopped = shell("replica", "stop", "--json")
    assert json.loads(stopped.stdout) == {"status": "stopped", "pid": None}
    assert not (shell.home / "replica.json").exists()
    assert not (shell.home / "replica" / "replica.json").exists()


def test_a_process_that_got_the_replicas_id_is_left_alone(shell: Shell) -> None:
    """Even if it is one of ours: what counts is who holds the state directory."""
    record = shell.background()
    assert shell("replica", "stop").returncode == 0
    innocent = subprocess.Popen(
        [*MODULE, "replica", "start", "--port", "0", "--state-dir", str(shell.home / "other"), "--exit-with-parent"],
        env={**os.environ, "CANISTER_FACTORY_HOME": str(shell.home / "other")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert innocent.stdout is not None
    innocent.stdout.readline()
    (shell.home / "replica.json").write_text(json.dumps({**record, "pid": innocent.pid}))
    stopped = shell("replica", "stop", "--json")
    assert json.loads(stopped.stdout) == {"status": "stopped", "pid": None}
    assert innocent.poll() is None
    innocent.communicate(timeout=20)


# --- what is in the way ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["missing", "a file", "below a file", "not set"])
def no_home(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody whose home can't be written; root may write everywhere else."""
    (tmp_path / "file").write_text("")
    homes = {
        "missing": "/proc/nobody",
        "a file": str(tmp_path / "file"),
        "below a file": str(tmp_path / "file" / "me"),
        "not set": "(unset)",
    }
    variables = {"HOME": homes[request.param], "CANISTER_FACTORY_HOME": "(unset)"}
    if request.param == "not set":
        # The user database knows a home then; it is this one.
        (tmp_path / "sitecustomize.py").write_text(
            "import os.path\nos.path.expanduser = lambda path: path  # as where the user has no entry either\n"
        )
        variables["PYTHONPATH"] = str(tmp_path)
    return variables


def test_a_home_that_can_not_be_written_is_one_line_that_says_state_dir(shell: Shell, no_home: dict[str, str]) -> None:
    for how in ((), ("--background",)):
        assert "--state-dir" in error_of(shell("replica", "start", "--port", "0", *how, **no_home))


def test_without_a_home_a_replica_with_a_state_directory_works(
    shell: Shell, no_home: dict[str, str], tmp_path: Path
) -> None:
    where = ("--state-dir", str(tmp_path / "state"))
    record = shell.background(*where, **no_home)
    log = shell("replica", "logs", *where, **no_home).stdout
    assert f"Give them --network {record['url']} --fetch-root-key, or set CANISTER_FACTORY_HOME" in log
    assert json.loads(shell("replica", "status", "--json", *where, **no_home).stdout)["status"] == "healthy"
    assert shell("replica", "stop", *where, **no_home).returncode == 0
    assert not is_alive(record["pid"])


@pytest.mark.sample(6)
@pytest.mark.parametrize("command", [("list",), ("status",), ("deploy",), ("call", "aaaaa-aa", "raw_rand")])
def test_without_a_home_commands_say_in_one_line_that_no_replica_is_there(
    shell: Shell, no_home: dict[str, str], command: tuple[str, ...], tmp_path: Path
) -> None:
    pem = str(tmp_path / "me.pem")
    assert shell("identity", "new", pem, **no_home).returncode == 0
    backend = () if command[0] in ("deploy", "call") else ("--backend", "aaaaa-aa")
    done = shell(*command, *backend, "--identity", pem, **no_home)
    code, reason = (2, "no home directory") if no_home["HOME"] == "(unset)" else (3, "no embedded replica is running")
    assert reason in error_of(done, code)


def test_an_identity_is_not_written_where_there_is_no_place(shell: Shell, no_home: dict[str, str]) -> None:
    assert "/proc/nobody/me.pem" in error_of(shell("identity", "new", "/proc/nobody/me.pem", **no_home), 2)


def test_the_demo_needs_no_home(shell: Shell, tmp_path: Path) -> None:
    done = shell("demo", "--json", HOME="/proc/nobody", CANISTER_FACTORY_HOME="(unset)")
    assert json.loads(done.stdout)["status"] == "Completed"
