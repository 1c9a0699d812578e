"""A preview on Pulumi's real engine: `python pulumi_preview.py ours|dicts SPEC OBJECTS STATE`.

`ours` plans SPEC and registers what homeport renders of it; `dicts` registers the same objects, components and order from
OBJECTS, a file that `objects` wrote, with nothing else to do. The difference is what homeport adds to the engine's own time.
"""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pulumi
from pulumi import automation

PHASED = "phase"


def objects(spec: Path, file: Path) -> None:
    """Write the objects of a spec's models, one JSON object a line: its model, its phase, itself."""
    from homeport.manifests.render import documents
    from homeport_infra.model_server import PHASES

    lines = []
    for document in documents(plan(spec)):
        phase = next((i for i, kinds in enumerate(PHASES) if document.kind in kinds), 0)
        lines.append(
            msgspec.json.encode({"model": document.model, PHASED: phase, "object": document.object()})
        )
    file.write_bytes(b"\n".join(lines))


def plan(spec: Path) -> Any:
    """Plan a spec."""
    from homeport.planning.plan import Planner
    from homeport.spec.load import load

    return Planner(spec.parent).plan(load(spec.read_bytes(), str(spec)).spec)


def ours(spec: Path, _file: Path) -> None:
    """The program of homeport."""
    from homeport_infra.program import deploy
    from homeport_infra.settings import Settings

    deploy(plan(spec), Settings(layers=("models",)))


def dicts(_spec: Path, file: Path) -> None:
    """The same resources, read."""
    from homeport_infra.manifest import Manifest

    found: dict[str | None, list[dict[str, Any]]] = {}
    for line in file.read_bytes().splitlines():
        item = msgspec.json.decode(line)
        found.setdefault(item["model"], []).append(item)
    shared = [_made(Manifest, item, pulumi.ResourceOptions()) for item in found.pop(None, [])]
    for model, items in found.items():
        component = pulumi.ComponentResource(
            "homeport:index:ModelServer", str(model), None, pulumi.ResourceOptions(depends_on=shared)
        )
        before: list[pulumi.Resource] = []
        for phase in sorted({item[PHASED] for item in items}):
            before = [
                _made(Manifest, item, pulumi.ResourceOptions(parent=component, depends_on=list(before)))
                for item in items
                if item[PHASED] == phase
            ]
        component.register_outputs({})


def _made(resource: Any, item: dict[str, Any], opts: pulumi.ResourceOptions) -> pulumi.Resource:
    value = item["object"]
    name = f"{item['model']}-{value['kind'].lower()}-{value['metadata']['name']}"
    made: pulumi.Resource = resource(name, value, opts)
    return made


def main(way: str, spec: Path, file: Path, state: Path) -> None:
    """Preview once in an empty state."""
    state.mkdir(parents=True, exist_ok=True)
    env = {
        "PULUMI_BACKEND_URL": state.absolute().as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "benchmark",
        "PULUMI_HOME": os.environ.get("PULUMI_HOME", str(state / "home")),
    }
    program = {"ours": ours, "dicts": dicts}[way]
    stack = automation.create_or_select_stack(
        stack_name=way,
        project_name="benchmark",
        program=lambda: program(spec, file),
        opts=automation.LocalWorkspaceOptions(env_vars=env),
    )
    made = stack.preview(suppress_outputs=True).change_summary
    print(sum(made.values()))


if __name__ == "__main__":
    if sys.argv[1] == "objects":
        objects(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(sys.argv[1], *map(Path, sys.argv[2:5]))
