"""What Python's search for cycles looks at in a replica's process."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from canister_factory.replica.node.garbage import look_at_new_objects_only

class Kept:
    pass

look_at_new_objects_only()
kept = [Kept() for _ in range(10_000)]
gc.collect(1)
assert not any(type(thing) is Kept for thing in gc.get_objects()), "looked at again"
before = gc.get_freeze_count()
kept.clear()
assert gc.get_freeze_count() <= before - 10_000, "what nobody refers to is freed all the same"
cycle = [Kept()]
cycle.append(cycle)
del cycle
assert gc.collect() >= 2, "new cycles are found"
print("done")
"""


def test_what_outlived_a_search_is_not_looked_at_again() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("done\n", "")


READING = """
import gc
from canister_factory.replica.node.garbage import look_at_new_objects_only, without_searches

class Kept:
    pass

searches = []
gc.callbacks.append(lambda phase, info: searches.append(phase))
with without_searches():
    kept = [Kept() for _ in range(100_000)]
assert searches == []
assert gc.isenabled()
assert not any(type(thing) is Kept for thing in gc.get_objects())
try:
    with without_searches():
        raise OSError
except OSError:
    assert gc.isenabled()
print("done")
"""


def test_what_is_read_at_the_start_is_never_looked_at() -> None:
    ran = subprocess.run([sys.executable, "-c", READING], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("done\n", "")
