"""The entry point: `homeport` and `python -m homeport`.

`--version` answers before anything is imported; every other command goes through `commands.main`.
"""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        from homeport import __version__

        print(f"homeport {__version__}")  # noqa: T201 - this is the answer, and nothing else is imported for it
        return
    import gc

    # One short run: what is allocated lives until the end, so collecting only costs time.
    gc.disable()
    from homeport.commands.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
