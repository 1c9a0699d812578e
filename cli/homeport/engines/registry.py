"""The engines that homeport knows, by name and version, and the questions that the rooms above ask of them."""

from functools import cache
from pathlib import Path
from types import ModuleType

import msgspec

from homeport.engines.types import FlagList, Launch, Release, Server
from homeport.errors import NotFoundError
from homeport.text import nearest

DATA = Path(__file__).parent / "data"
ALIASES = {"tensorrt-llm": "trtllm", "text-generation-inference": "tgi"}


@cache
def releases() -> tuple[Release, ...]:
    """All releases, the newest of each engine first."""
    return msgspec.json.decode((DATA / "releases.json").read_bytes(), type=tuple[Release, ...])


def release(engine: str, version: str | None = None) -> Release:
    """The release of `engine` (or an alias); the newest, or the one whose version begins with `version`.

    Raises NotFoundError with the nearest names.
    """
    name = ALIASES.get(engine.lower(), engine.lower())
    known = [r for r in releases() if r.engine == name]
    if not known:
        names = {r.engine for r in releases()} | set(ALIASES)
        raise NotFoundError("engine", engine, nearest(engine, sorted(names)), help=f"known: {', '.join(sorted(names))}")
    if version is None:
        return known[0]
    wanted = version.removeprefix("v")
    for candidate in known:
        if candidate.version == wanted or candidate.version.startswith(wanted + "."):
            return candidate
    versions = [r.version for r in known]
    raise NotFoundError(
        f"version of {name}", version, nearest(wanted, versions), help=f"known: {', '.join(versions)}"
    )


@cache
def flags(flags_file: str) -> FlagList:
    """The flag list that a release names."""
    return msgspec.json.decode((DATA / "flags" / flags_file).read_bytes(), type=FlagList)


def server(release: Release, launch: Launch) -> Server:
    """How one replica of `launch` runs on `release`.

    Raises SpecError, with paths below the model's spec, where the engine cannot do what the launch asks for.
    """
    made: Server = module(release.engine).server(release, launch)
    return made


def module(engine: str) -> ModuleType:
    """The engine's module, imported when it is first needed."""
    from importlib import import_module

    return import_module(f"homeport.engines.{engine}")
