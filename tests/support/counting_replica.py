"""A process that counts on a state directory until it is killed: `python -m support.counting_replica DIR`.

Its first line is what it found: the count, and what the canister remembers. Each line after it is a count that is
durable. A snapshot is due after every fourth message.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from canister_factory.replica.store.files import Files
from support.replica_bench import Bench
from support.store_history import opener


def main(directory: Path) -> None:
    bench = Bench(opener(directory, files=Files(power=False), messages=4))
    bench._requests = secrets.randbits(60)  # ids of requests that no earlier life used
    canister = next(iter(bench.subnet.canisters), None) or bench.puppet()
    bench.subnet.persist()
    count = bench.count(canister)
    say(f"{count} {bench.query(canister, 'recall').decode() if count else ''}")
    while True:
        count = int.from_bytes(bench.call(canister, "count"), "little")
        bench.call(canister, "remember", b"%08d" % count)
        bench.subnet.persist()
        say(f"{count}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
