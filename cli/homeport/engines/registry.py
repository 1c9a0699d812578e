"""The engines that homeport knows, by name and version, and the questions that the rooms above ask of them."""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from homeport.engines.types import FlagList, Launch, Release, Server
from homeport.errors import NotFoundError, Problem
from homeport.text import nearest

if TYPE_CHECKING:
    from homeport.catalog.architecture_types import Architecture
    from homeport.catalog.types import Gpu
    from homeport.engines.flags import Reader

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
        raise NotFoundError(
            "engine", engine, nearest(engine, sorted(names)), help=f"known: {', '.join(sorted(names))}"
        )
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


def check_args(release: Release, args: tuple[str, ...]) -> list[Problem]:
    """What is wrong with the arguments that a user adds, with paths below the model's spec (`("extra_args", 2)`).

    Refused: flags that the version does not have (with the nearest), flags that homeport renders (with the field
    to use) or that break what it renders, secrets (without a word of them), values of the wrong type or outside the choices, missing values, and values without a flag. Flags that
    the engine calls deprecated pass: see `arg_notes`.
    """
    return _read(release, args).problems if args else []


def arg_notes(release: Release, args: tuple[str, ...]) -> tuple[str, ...]:
    """What to know of flags among `args` that pass: what the engine's own help calls deprecated, what no plan counts."""
    return tuple(_read(release, args).notes) if args else ()


def _read(release: Release, args: tuple[str, ...]) -> "Reader":
    from homeport.engines.flags import Reader
    from homeport.engines.unplanned import BREAKS

    owned = module(release.engine).OWNED | BREAKS.get(release.engine, {})
    reader = Reader(release, flags(release.flags_file), owned, quoted=release.engine != "tgi")
    reader.read(args)
    return reader


def unsupported(release: Release, arch: "Architecture", gpu: "Gpu | None", precision: str) -> str | None:
    """Say in one sentence why `release` cannot run `arch` on `gpu` in `precision` (None: it can).

    `precision` is auto, bf16, fp16, fp8, int8, int4 or a method's name; `gpu` None leaves the GPU out of the answer.
    """
    from homeport.engines import support

    return support.unsupported(release, arch, gpu, precision)


def unknown_type(release: Release, config: dict[str, Any]) -> str | None:
    """Say that nobody knows here whether `release` serves a config's `model_type` (None: it does, or has a closed list)."""
    from homeport.engines import support

    return support.unknown_type(release, config)
