"""The templates: found, compiled once, and their bytecode kept between runs."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment, Template


def folder() -> Path:
    """The folder of the templates: inside the package when it is installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "templates"
    return installed if installed.is_dir() else package.parents[1] / "templates"


@cache
def environment() -> "Environment":
    """The Jinja environment: an undefined name is an error, blocks leave no blank lines."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from homeport.manifests import yamltext

    made = Environment(
        loader=FileSystemLoader(folder(), encoding="utf-8"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        autoescape=False,
        bytecode_cache=_bytecode_cache(),
    )
    made.filters["yaml"] = yamltext.scalar
    made.filters["block"] = yamltext.block
    made.filters["comment"] = yamltext.comment
    return made


@cache
def template(name: str) -> "Template":
    """The compiled template of a file."""
    return environment().get_template(name)


def _bytecode_cache() -> Any:
    """Compiled templates in the user's cache folder, or None where there is no such place.

    A cache that cannot be read or written is no error: the templates are compiled again.
    """
    import os
    from contextlib import suppress

    from jinja2 import FileSystemBytecodeCache

    class Cache(FileSystemBytecodeCache):
        def load_bytecode(self, bucket: Any) -> None:
            try:
                super().load_bytecode(bucket)
            except Exception:  # half a pickle or half a code object can raise anything
                bucket.reset()

        def dump_bytecode(self, bucket: Any) -> None:
            with suppress(OSError):
                super().dump_bytecode(bucket)

    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        target = Path(base) / "homeport" / "templates"
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = target.stat()
    except (OSError, RuntimeError):
        return None
    # What lies there is run: it must be the user's own, and nobody else may write to it.
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        return None
    return Cache(str(target))
