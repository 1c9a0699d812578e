"""The model that a spec names, found and read: what is downloaded, how large it is, how it is built."""

from pathlib import Path
from typing import Any

from homeport.catalog.architecture import architecture
from homeport.catalog.architecture_types import Architecture
from homeport.catalog.resolve import Found, resolve
from homeport.errors import HomeportError, NotFoundError, Problem, SpecError
from homeport.planning.types import ModelSource
from homeport.sizing.startup_model import stored_bytes
from homeport.spec.models import ModelSpec


class Sources:
    """Models of one run, each looked up once (a Hub id costs a request)."""

    def __init__(self, base_dir: Path) -> None:
        """`base_dir` is where relative paths of the spec start."""
        self.base_dir = base_dir
        self._found: dict[str, Found | HomeportError] = {}
        self._read: dict[tuple[str, str | None], ModelSource] = {}

    def find(self, spec: ModelSpec, path: tuple[str | int, ...]) -> ModelSource:
        """Return the source of a model of the spec. Raises SpecError with the field's path where it can't be found."""
        key = spec.model, spec.checkpoint
        if key not in self._read:
            self._read[key] = self._source(spec, path)
        return self._read[key]

    def _look_up(self, name: str, path: tuple[str | int, ...]) -> Found:
        if name not in self._found:
            try:
                self._found[name] = resolve(name, base_dir=self.base_dir)
            except HomeportError as error:
                self._found[name] = error
        found = self._found[name]
        if isinstance(found, HomeportError):
            raise at(found, path, name)
        return found

    def _source(self, spec: ModelSpec, path: tuple[str | int, ...]) -> ModelSource:
        named = self._look_up(spec.model, (*path, "model"))
        where = (*path, "checkpoint") if spec.checkpoint else (*path, "model")
        found = self._look_up(spec.checkpoint, where) if spec.checkpoint else named
        try:
            arch = architecture(sized(found), found.id)
        except SpecError as error:
            raise at(error, where, spec.checkpoint or spec.model) from error
        if spec.checkpoint and (other := _other_model(named, arch)):
            raise SpecError(
                [
                    Problem(
                        message=f"{found.id} is no checkpoint of {named.id}: {other}",
                        path=where,
                        value=spec.checkpoint,
                        help="name one that was made of it, or leave checkpoint out",
                    )
                ]
            )
        return ModelSource(
            id=named.id,
            checkpoint=found.id,
            config=found.config,
            architecture=arch,
            weight_bytes=found.weight_bytes or arch.weight_bytes or round(stored_bytes(arch)),
            context_tokens=found.context_tokens or arch.context_tokens,
            licence=named.licence,
            gated=found.gated,
            origin=found.origin,
            as_of=found.as_of,
            unverified=found.unverified,
            local_path=found.local_path,
        )


def _other_model(named: Found, checkpoint: Architecture) -> str | None:
    """Say how a checkpoint is built otherwise than the model it is named for (None: it is the same)."""
    try:
        model = architecture(named.config, named.id)
    except SpecError:
        return None
    for field, name in (("layers", "layers"), ("hidden_size", "hidden size")):
        mine, its = getattr(model, field), getattr(checkpoint, field)
        if mine != its:
            return (
                f"its {name} is {its:,}, not {mine:,}"
                if field == "hidden_size"
                else f"it has {its} {name}, not {mine}"
            )
    return None


def sized(found: Found) -> dict[str, Any]:
    """The config with the checkpoint's size in it, which the architecture takes its weights from."""
    if found.weight_bytes is None or "weight_bytes" in found.config:
        return found.config
    return {**found.config, "weight_bytes": found.weight_bytes}


def at(error: HomeportError, path: tuple[str | int, ...], value: object) -> SpecError:
    """Turn an error about a name into a problem of the field that holds it."""
    if isinstance(error, SpecError):
        return SpecError(
            [Problem(message=p.message, path=path, value=value, help=p.help) for p in error.problems]
        )
    help_text = error.help if isinstance(error, NotFoundError) else None
    return SpecError([Problem(message=str(error), path=path, value=value, help=help_text)])
