"""Statuses of requests on disk: a snapshot writes what changed, and a start finds all of them in their order."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canister_factory.replica.runtime.execution import RejectCode, Response
from canister_factory.replica.store import kept_statuses
from canister_factory.replica.store.files import DamagedError, Files
from canister_factory.replica.store.kept_statuses import KeptStatuses, StatusFile
from canister_factory.replica.store.manifest import Seal
from canister_factory.replica.subnet.listeners import Listeners
from canister_factory.replica.subnet.messages import FromIngress
from canister_factory.replica.subnet.request_status import RequestState, RequestStatus
from support.faulty_files import FaultyFiles, failing
from support.replica_bench import Bench
from support.store_history import contents, opener

FULL = 5


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_statuses, "FULL", FULL)


def request_id(number: int) -> bytes:
    return b"%032d" % number


def status(number: int, state: RequestState = RequestState.REPLIED, response: Response | None = None) -> RequestStatus:
    origin = FromIngress(request_id(number), 10**18 + number, b"sender", b"effective", b"canister")
    return RequestStatus(state, origin, response)


STATUSES = [
    status(0, RequestState.RECEIVED),
    status(1, RequestState.PROCESSING),
    status(2, RequestState.DONE),
    status(3, RequestState.REPLIED, Response(b"")),
    status(4, RequestState.REPLIED, Response(bytes(1000))),
    status(5, RequestState.REJECTED, Response(b"", RejectCode.CANISTER_ERROR, "it trapped", "IC0502")),
    status(6, RequestState.REJECTED, Response(b"", RejectCode.SYS_TRANSIENT, "no code")),
]


class Life:
    """Statuses that change, are saved, and are read again by a start."""

    def __init__(self, directory: Path, files: Files | None = None) -> None:
        self.directory, self.files = directory, files or Files(power=False)
        self.statuses: dict[bytes, RequestStatus] = {}
        self.valid: list[StatusFile] = []
        self.generation = 0
        self.start()

    def start(self) -> None:
        self.kept = KeptStatuses(self.files, self.directory)
        self.statuses = {key: RequestStatus.restored(its) for key, its in self.kept.load(self.valid).items()}
        self._tell: Callable[[bytes, RequestStatus | None], None] = self.kept.listening(Listeners()).request_status

    def put(self, *changed: RequestStatus) -> None:
        for each in changed:
            self.statuses[each.origin.request_id] = each
            self._tell(each.origin.request_id, each)

    def forget(self, *request_ids: bytes) -> None:
        for request_id in request_ids:
            del self.statuses[request_id]
            self._tell(request_id, None)

    def save(self) -> None:
        self.begin_saving()
        self.end_saving()

    def begin_saving(self) -> None:
        self.generation += 1
        self.saving = self.kept.begin_saving(self.statuses)

    def end_saving(self, *, fails: bool = False) -> None:
        valid = self.kept.save(self.saving, self.generation)
        if not fails:
            self.kept.saved(self.saving)
            assert self.kept.valid == valid
            self.valid = valid

    @property
    def files_written(self) -> dict[str, int]:
        """All that were ever written, with their inodes."""
        return {path.name: path.stat().st_ino for path in self.directory.iterdir()}


def test_every_kind_of_status_is_read_as_it_was(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.put(*STATUSES)
    before = dict(life.statuses)
    life.save()
    life.start()
    assert list(life.statuses.items()) == list(before.items())


operations = st.lists(
    st.sampled_from(["arrive", "answer", "forget", "forget any", "save", "begin", "end", "fail", "start"]), max_size=60
)


@given(operations, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_start_finds_what_was_saved_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], chance: random.Random
) -> None:
    life, numbers = Life(tmp_path_factory.mktemp("state")), count()
    saved: list[tuple[bytes, RequestStatus]] = []
    begun: list[tuple[bytes, RequestStatus]] | None = None
    for operation in steps:
        known = list(life.statuses)
        match operation:
            case "arrive":
                life.put(status(next(numbers), RequestState.RECEIVED))
            case "answer" if known:
                number = int(chance.choice(known))
                life.put(status(number, RequestState.REPLIED, Response(b"%d" % chance.randrange(100))))
            case "forget":
                life.forget(*known[:2])
            case "forget any" if known:
                life.forget(chance.choice(known))
            case "save" if begun is None:
                life.save()
                saved = list(life.statuses.items())
            case "begin" if begun is None:
                life.begin_saving()
                begun = list(life.statuses.items())
            case "end" | "fail" if begun is not None:
                life.end_saving(fails=operation == "fail")
                saved, begun = (saved if operation == "fail" else begun), None
            case "start":
                life.start()
                begun = None
                assert list(life.statuses.items()) == saved
    life.save()
    saved = list(life.statuses.items())
    life.start()
    assert list(life.statuses.items()) == saved


def test_a_snapshot_writes_what_changed_and_leaves_full_files_alone(tmp_path: Path) -> None:
    life = Life(tmp_path)
    for number in range(20):
        life.put(status(number))
        if number % FULL == FULL - 1:
            life.save()
    before = life.files_written
    assert [file.generation for file in life.valid] == [1, 2, 3, 4]
    life.save()
    assert life.files_written == before, "nothing had changed"
    life.put(status(20), status(3, response=Response(b"later")))
    life.save()
    assert life.files_written.keys() - before.keys() == {"statuses-6"}
    assert [file.generation for file in life.valid] == [1, 2, 3, 4, 6]
    life.start()
    life.put(status(21))
    life.save()
    assert [file.generation for file in life.valid] == [1, 2, 3, 4, 7], "the last one wasn't full"


def test_a_file_goes_when_all_of_its_requests_and_those_before_are_forgotten(tmp_path: Path) -> None:
    life = Life(tmp_path)
    for number in range(15):
        life.put(status(number))
        if number % FULL == FULL - 1:
            life.save()
    ids = list(life.statuses)
    life.forget(*ids[5:10])
    life.save()
    assert [file.generation for file in life.valid] == [1, 2, 3, 4]
    life.forget(*ids[1:5])
    life.save()
    assert [file.generation for file in life.valid] == [1, 2, 3, 4, 5]
    life.forget(ids[0])
    life.save()
    assert [file.generation for file in life.valid][:1] == [3]
    expected = list(life.statuses)
    life.start()
    assert list(life.statuses) == expected == ids[10:]


def test_what_could_not_be_written_is_written_by_the_next_snapshot(tmp_path: Path) -> None:
    files = FaultyFiles(power=False)
    life = Life(tmp_path, files)
    life.put(*STATUSES)
    files.at, files.fault = files.done, failing(errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        life.kept.save(life.kept.begin_saving(life.statuses), 1)
    assert life.kept.valid == []
    life.save()
    life.start()
    assert list(life.statuses.values()) == STATUSES


@pytest.mark.parametrize("content", [b"\x81\x41x", b"\x82\x41x\x81\x65other", b"\x01", b"\x81" * 5000])
def test_what_is_no_list_of_statuses_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "statuses-1").write_bytes(content)
    file = StatusFile(1, Seal.of(content))
    with pytest.raises(DamagedError, match=r"^statuses-1 can't be read"):
        file.read(Files(power=False), tmp_path)


def test_what_a_subnets_snapshot_writes_does_not_grow_with_the_requests_before(tmp_path: Path) -> None:
    bench = Bench(opener(tmp_path, files=Files(power=False), messages=10))
    canister = bench.puppet()
    sizes = []
    for number in range(60):
        bench.call(canister, "count")
        bench.subnet.persist()
        if number % 10 == 9:
            (state,) = tmp_path.glob("state-*")
            sizes.append(state.stat().st_size)
    assert max(sizes) - min(sizes) < 100
    assert len(list(tmp_path.glob("statuses-*"))) == 5
    before = contents(bench.subnet)
    later = Bench(opener(tmp_path, files=Files(power=False), messages=10))
    assert contents(later.subnet) == before
    assert len(later.subnet.request_statuses) > 60
    later.clock.advance(3600)
    later._requests = 1000
    for _ in range(12):
        later.call(canister, "count")
        later.subnet.persist()
    assert len(list(tmp_path.glob("statuses-*"))) <= 3, "those of forgotten requests are gone"
