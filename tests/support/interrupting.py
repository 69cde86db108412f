"""A command that gets a signal at a chosen moment of its run, counted in function calls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

# Interrupts itself at the n-th function call from the program's first line on, or counts the calls of a whole run;
# of those in some source file only, if one is named.
AT_CALL = """
import os, sys
left = int(os.environ.pop("AT_CALL"))
count = 0
within = os.environ.pop("AT_FILE")
def profile(frame, event, argument):
    global count
    if event == "call" and frame.f_code.co_filename.endswith(within):
        count += 1
        if count == left:
            sys.setprofile(None)
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
sys.argv = ["canister-factory", *sys.argv[1:]]
try:
    import canister_factory.__main__ as program
    sys.setprofile(profile)
    program.main()
finally:
    sys.setprofile(None)
    if not left:
        print(count, file=sys.stderr)
"""


def at_call(
    number: int, *arguments: str, sent: int = signal.SIGINT, within: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a command that gets `sent` at its call of that number; at 0 it gets none, and tells their number.

    `within` is the end of a source file's path: only its calls count.
    """
    return subprocess.run(
        [sys.executable, "-c", AT_CALL, *arguments],
        env={**os.environ, "AT_CALL": str(number), "SIGNAL": str(int(sent)), "AT_FILE": within},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        restore_signals=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
