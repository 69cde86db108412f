"""What `replica check`, `repair`, `export` and `import` say of a state directory that no replica uses.

Owns these words. Does not own the options (`replica`), or the work (`replica.node.maintenance`), which needs the
optional Wasm runtime and is imported when it is done.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from canister_factory import interrupts
from canister_factory.cli import output, quantities, settings
from canister_factory.cli.errors import CommandError
from canister_factory.cli.progress import bytes_bar
from canister_factory.cli.replica_server import runtime_required
from canister_factory.cli.results import done

if TYPE_CHECKING:
    from canister_factory.replica.store.inspection import Inspection


def _maintenance() -> ModuleType:
    with runtime_required():
        from canister_factory.replica.node import maintenance
    return maintenance


def check(directory: Path) -> None:
    """Reads all files of a state directory, and shows what is damaged.

    Raises:
        CommandError: something is damaged.
    """
    inspection = _inspected(directory)
    if not inspection.damages:
        done(
            f"The state in {directory} is whole: {_read(inspection)}.",
            status="whole",
            state_dir=str(directory),
            **_fields(inspection),
        )
        return
    advice = f"mend it with 'canister-factory replica repair {directory} --accept-loss'"
    if not inspection.can_be_mended:
        advice = "it can't be mended: restore the directory from a copy, or import an export into a new one"
    _show_damages(inspection)
    raise _error(f"the state in {directory} is damaged ({_first(inspection)}): {advice}", inspection)


def repair(directory: Path, accept_loss: bool) -> None:
    """Mends a state directory, if its loss is accepted.

    Raises:
        CommandError: the loss isn't accepted, or it can't be mended.
    """
    maintenance = _maintenance()
    with maintenance.held(directory):
        inspection = _read_all(maintenance, directory)
        if not inspection.damages:
            done(f"The state in {directory} is whole; nothing was changed.", status="whole", **_fields(inspection))
            return
        _show_damages(inspection)
        if inspection.can_be_mended and not accept_loss:
            loss = _losses(inspection)
            raise _error(f"nothing was changed. --accept-loss gives up {loss}, and keeps the damaged files", inspection)
        interrupts.if_interrupted("the state is as it was, or mended already. The same command looks and continues")
        aside = maintenance.mend(directory, inspection)
    done(
        f"The state in {directory} is usable. Lost: {_losses(inspection)}. The damaged files are in {aside}.",
        status="mended",
        state_dir=str(directory),
        aside=str(aside),
        **_fields(inspection),
    )


def export(directory: Path, target: Path) -> None:
    """Writes a state directory into a file."""
    maintenance = _maintenance()
    bar = bytes_bar(f"exporting {directory}", maintenance.bytes_of(directory))
    with bar as advance, interrupts.at_once():  # what is half written is deleted
        size = maintenance.export(directory, target.absolute(), advance)
    done(
        f"{target} has the network of {directory} ({quantities.size(size)}), with its private keys.",
        file=str(target),
        size=size,
        state_dir=str(directory),
    )


def import_(source: Path, directory: Path) -> None:
    """Makes a state directory of an export."""
    maintenance = _maintenance()
    with bytes_bar(f"importing {source}", None) as advance, interrupts.at_once():  # the same
        inspection = maintenance.import_(source, directory, advance)
    done(
        f"{directory} has the network of {source}: {_read(inspection)}.",
        file=str(source),
        state_dir=str(directory),
        **_fields(inspection),
    )


def _inspected(directory: Path) -> Inspection:
    maintenance = _maintenance()
    with maintenance.held(directory):
        return _read_all(maintenance, directory)


def _read_all(maintenance: ModuleType, directory: Path) -> Inspection:
    with bytes_bar(f"reading {directory}", maintenance.bytes_of(directory)) as advance:
        inspection: Inspection = maintenance.check(directory, advance)
    if inspection.is_empty:
        raise CommandError(f"there is no state in {directory}")
    return inspection


def _read(inspection: Inspection) -> str:
    canisters = 0 if inspection.state is None else len(inspection.state.canisters)
    journal = 0 if inspection.journal is None else inspection.journal.records
    snapshot = f"{canisters} canisters in the last snapshot, {journal} records in the journal since"
    return f"{snapshot}; {quantities.size(inspection.size)} in all"


def _fields(inspection: Inspection) -> dict[str, object]:
    return {
        "generation": None if inspection.manifest is None else inspection.manifest.generation,
        "canisters": None if inspection.state is None else len(inspection.state.canisters),
        "journal_records": None if inspection.journal is None else inspection.journal.records,
        "files": inspection.files,
        "size": inspection.size,
        "damages": [
            {"file": damage.name, "damage": damage.damage, "loss": damage.loss} for damage in inspection.damages
        ],
    }


def _error(message: str, inspection: Inspection) -> CommandError:
    error = CommandError(message)
    error.context = {"status": "damaged", **_fields(inspection)}
    return error


def _show_damages(inspection: Inspection) -> None:
    if not settings.current().json:
        rows = [(damage.name, damage.damage, damage.loss or "can't be mended") for damage in inspection.damages]
        output.table("", rows, ("file", "damage", "what is lost"))


def _first(inspection: Inspection) -> str:
    first, *others = inspection.damages
    more = f", and {len(others)} more" if others else ""
    return f"{first.name} {first.damage}{more}"


def _losses(inspection: Inspection) -> str:
    losses = dict.fromkeys(damage.loss for damage in inspection.damages if damage.loss is not None)
    return "; ".join(losses)
