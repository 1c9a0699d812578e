"""Every example, rendered on its target: whole folders, compared byte by byte.

The plans are made by hand (see conftest.py), so that a change of the sizing changes nothing here.
`HOMEPORT_UPDATE_GOLDEN=1` rewrites what is expected.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from homeport.manifests import kustomize
from homeport.manifests.render import documents
from homeport.spec.overrides import load_with

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def rendered(plans, example: Path) -> dict[str, str]:
    spec = load_with(example.read_bytes(), example.name, {}).spec
    return kustomize.files(documents(plans.plan(spec)))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_is_rendered_as_expected(plans, example: Path) -> None:
    folder = GOLDEN / example.stem
    made = rendered(plans, example)
    if os.environ.get("HOMEPORT_UPDATE_GOLDEN"):
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in made.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    expected = {
        str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()
    }
    assert made == expected, "HOMEPORT_UPDATE_GOLDEN=1 rewrites what is expected; read the difference before"


def test_every_golden_folder_has_its_example() -> None:
    assert {p.name for p in GOLDEN.iterdir()} == {p.stem for p in EXAMPLES}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_kubectl_builds_the_folder_with_and_without_components(plans, example: Path, tmp_path: Path) -> None:
    made = rendered(plans, example)
    for path, text in made.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    objects = [p for p in made if not p.endswith("kustomization.yaml")]
    for folder, expected in (
        (tmp_path, objects),
        (tmp_path / "base", [p for p in objects if p.startswith("base/")]),
    ):
        run = subprocess.run(
            ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True
        )
        built = list(yaml.load_all(run.stdout, yaml.CSafeLoader))
        written = [yaml.load(made[p], yaml.CSafeLoader) for p in expected]
        key = lambda o: (o["kind"], o["metadata"]["name"])  # noqa: E731
        assert sorted(built, key=key) == sorted(written, key=key)


def test_the_stream_holds_the_same_objects_namespace_first(plans) -> None:
    for example in EXAMPLES:
        spec = load_with(example.read_bytes(), example.name, {}).spec
        found = documents(plans.plan(spec))
        streamed = list(yaml.load_all("".join(kustomize.stream(found)), yaml.CSafeLoader))
        assert streamed == [yaml.load(d.text, yaml.CSafeLoader) for d in found]
        assert streamed[0]["kind"] == "Namespace"


PRINT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("conftest", sys.argv[1])
plans = importlib.util.module_from_spec(spec); spec.loader.exec_module(plans)
from pathlib import Path
from homeport.manifests import kustomize
from homeport.manifests.render import documents
from homeport.spec.overrides import load_with
for name in sys.argv[2:]:
    made = load_with(Path(name).read_bytes(), name, {}).spec
    sys.stdout.buffer.write(repr(list(kustomize.files(documents(plans.plan(made))).items())).encode())
"""


def test_other_hash_seeds_and_locales_give_the_same_bytes() -> None:
    outputs = set()
    for seed, locale in (("0", "C"), ("1", "C.UTF-8"), ("2", "tr_TR.UTF-8")):
        run = subprocess.run(
            [sys.executable, "-c", PRINT, str(Path(__file__).parent / "conftest.py"), *map(str, EXAMPLES)],
            env=os.environ | {"PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale, "TZ": "Asia/Tokyo"},
            capture_output=True, check=True,
        )  # fmt: skip
        outputs.add(run.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop()) > 10_000
