"""One file, written so that it is whole or absent whenever the process dies."""

import os
from pathlib import Path

from homeport.errors import EnvironmentProblem


def write_whole(path: Path, text: str, *, replace: bool) -> None:
    """Write a file through a staged one beside it; a symbolic link stays one, what it points to is written.

    Without `replace`, raises FileExistsError where the name is taken, also by something that appeared meanwhile.
    Raises EnvironmentProblem where the folder cannot be written to.
    """
    path = Path(os.path.realpath(path))
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        staged.write_text(text, encoding="utf-8", newline="\n")
        if replace:
            staged.replace(path)
        else:
            path.hardlink_to(staged)  # unlike a rename, it fails where the name is taken
    except FileExistsError:
        raise
    except OSError as error:
        raise EnvironmentProblem(f"'{path}' cannot be written: {error.strerror}") from error
    finally:
        staged.unlink(missing_ok=True)
