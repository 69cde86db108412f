"""`canister-factory` and `python -m canister_factory`: the signals first, then the command line.

Owns the order. Does not own: the signals (`interrupts`), which are taken over as this is loaded; the commands (`cli`).
"""

import os

try:
    from canister_factory import interrupts

    interrupts.install()
except KeyboardInterrupt:  # the one moment at which the handler isn't there yet
    os.write(2, b"interrupted; nothing was changed\n")
    os._exit(130)


def main() -> None:
    """Runs the command line; ends the process with its exit code."""
    import atexit

    atexit.register(interrupts.ignore)  # the first one registered is the last one called
    from canister_factory.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
