"""The entry point: `homeport` and `python -m homeport`.

`--version` answers before anything is imported; every other command goes through `commands.main`.
"""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:  # before the commands are there to say so
        code = 130
    _leave(code)


def _run(args: list[str]) -> int:
    if args == ["--version"]:
        return _version()
    import gc

    # One short run: what is allocated lives until the end, so collecting only costs time.
    gc.disable()
    from homeport.commands.main import run

    return run(args)


def _version() -> int:
    from homeport import __version__

    try:
        print(f"homeport {__version__}", flush=True)  # noqa: T201 - this is the answer, and nothing else is imported for it
    except BrokenPipeError:
        return 0
    except OSError as error:
        print(f"error: cannot write the answer: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 3
    return 0


def _leave(code: int) -> None:
    """End the process at once: taking the interpreter apart can cost more than the answer did.

    Pulumi's threads and child processes are given their orderly end.
    """
    import os
    from contextlib import suppress

    if "pulumi" in sys.modules:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        # What cannot be written was reported when it was tried; a stream that the shell closed is None.
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
