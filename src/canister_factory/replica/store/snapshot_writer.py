"""A snapshot being written beside everything else, step by step, while what follows it is noted in both journals.

Owns whose turn it is: what the subnet's thread does (begin, make valid, end) and what another does (all writing in
between). Does not own these steps (`directory`), or when a snapshot is due (`checkpoint`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future

from canister_factory.replica.runtime.workers import Workers, fulfil
from canister_factory.replica.store.directory import StateDirectory
from canister_factory.replica.store.files import SyncFailedError
from canister_factory.replica.store.journal import Journal
from canister_factory.replica.store.saving import Saving
from canister_factory.replica.subnet.canister import CanisterState
from canister_factory.replica.subnet.state import SubnetState


class SnapshotWriter:
    """Writes one snapshot at a time into a directory.

    Args:
        workers: do the writing; None: the one who begins does it at once.
    """

    def __init__(self, directory: StateDirectory, workers: Workers | None) -> None:
        self._directory = directory
        self._workers = workers
        self._saving: Saving | None = None
        self._unpublished: Saving | None = None  # the same, until it is valid
        self._work: Future[None] | None = None  # the step in progress

    def __repr__(self) -> str:
        return f"<SnapshotWriter busy={self.busy} valid={self._unpublished is None}>"

    @property
    def busy(self) -> bool:
        """Whether a snapshot hasn't ended."""
        return self._saving is not None

    @property
    def awaited(self) -> list[Future[None]]:
        """The step in progress: when it is done, `go_on` has something to do."""
        return [] if self._work is None else [self._work]

    def begin(self, state: SubnetState) -> None:
        """Begins a snapshot of what is there now; none may be in progress.

        Raises:
            OSError: nothing has begun.
        """
        assert self._saving is None, "a snapshot is in progress"
        self._saving = self._directory.begin_saving(state, beside=self._workers is not None)
        self._unpublished = self._saving
        self._submit(self._directory.write_files)

    def note(self, *record: bytes, checksum: int) -> None:
        """A record was appended to the valid journal, in these parts; `checksum`: its CRC-32."""
        if self._unpublished is not None:
            self._unpublished.journal.append(*record, checksum=checksum)

    def write_notes(self) -> None:
        """To be called when the valid journal was flushed.

        Raises:
            OSError: the snapshot was given up.
        """
        if self._unpublished is not None:
            try:
                self._unpublished.journal.write()
            except BaseException:
                self.hurry()
                if self._work is not None:
                    self._ended(self._work)
                self._work = None
                self._fail(self._unpublished)
                raise

    def go_on(self, canisters: Iterable[CanisterState], *, to_end: bool = False) -> Journal | None:
        """Does what can be done now, or all. Everything noted must be durable.

        Args:
            canisters: all that there are now.
            to_end: waits for what other threads do.

        Returns:
            The snapshot's journal, if it has become the valid one.

        Raises:
            SyncFailedError: it isn't known which state a power failure leaves. Nothing must be noted any more.
            OSError, DamagedError: there is no such snapshot. The former one is valid, and nothing is lost.
        """
        published = None
        while self._work is not None and (to_end or self._work.done()):
            work = self._ended(self._work)
            self._work = None
            published = self._step(work, canisters) or published
        return published

    def hurry(self) -> None:
        """Has a snapshot that isn't valid yet fail soon, unless its files are written."""
        self._directory.images.given_up = True

    def end(self) -> None:
        """No snapshot follows: lets go of the threads."""
        if self._workers is not None:
            self._workers.end()

    def _step(self, work: Future[None], canisters: Iterable[CanisterState]) -> Journal | None:
        saving = self._saving
        assert saving is not None, "there is work for nothing"
        if self._unpublished is None:
            self._saving = None
            work.result()
            self._directory.conclude(saving, canisters)
            return None
        try:
            work.result()
            self._directory.publish(saving)
        except SyncFailedError:
            raise
        except BaseException:
            self._fail(saving)
            raise
        self._unpublished = None
        self._submit(self._directory.settle)
        return saving.journal

    def _ended(self, work: Future[None]) -> Future[None]:
        if self._workers is not None:
            self._workers.wait(work)
        return work

    def _fail(self, saving: Saving) -> None:
        self._saving = self._unpublished = None
        self._directory.fail(saving)

    def _submit(self, work: Callable[[Saving], None]) -> None:
        saving = self._saving
        assert saving is not None, "no snapshot is in progress"
        if self._workers is not None:
            self._work = self._workers.submit(lambda: work(saving))
            return
        self._work = Future()
        fulfil(self._work, lambda: work(saving))
