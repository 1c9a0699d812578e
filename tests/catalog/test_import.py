"""`scripts/import_catalog.py`: what it writes, and that a faulty row stops it before anything is written."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeport.catalog.names import DATA

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "import_catalog.py"
# written by hand: no table of others has them
BY_HAND = {
    "regions.json", "zones.json", "regimes.json", "controls.json",
    "machines/aws.json", "machines/azure.json", "machines/gcp.json",
}  # fmt: skip
KEYS = {"models": "models", "gpus": "gpus", "api_prices": "prices", "benchmarks": "benchmarks"}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The tables as they come: made from the package's own data, rows of the clouds in one file."""
    made = tmp_path / "source"
    (made / "model_configs").mkdir(parents=True)
    for name, key in KEYS.items():
        (made / f"{name}.json").write_text(json.dumps({key: read(DATA / f"{name}.json")}))
    instances = [row for file in sorted((DATA / "instances").glob("*.json")) for row in read(file)]
    (made / "instances.json").write_text(json.dumps({"instances": instances}))
    for file in (DATA / "configs").glob("*.json"):
        (made / "model_configs" / file.name).write_text(json.dumps(read(file), indent=4))
    return made


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.json")}


def test_the_packages_data_is_what_the_script_writes(source: Path, tmp_path: Path) -> None:
    done = run(source, "--data", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    written = files(tmp_path / "data")
    packaged = files(DATA)
    assert written == {name: text for name, text in packaged.items() if name not in BY_HAND}
    assert run(source, "--data", tmp_path / "data", "--check").returncode == 0


def test_a_changed_price_is_one_changed_line(source: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run(source, "--data", data)
    before = (data / "instances" / "aws.json").read_text().splitlines()
    table = read(source / "instances.json")
    row = next(r for r in table["instances"] if r["cloud"] == "aws")
    row["on_demand_usd_per_hour"] = 1.25
    (source / "instances.json").write_text(json.dumps(table))
    checked = run(source, "--data", data, "--check")
    assert (checked.returncode, checked.stdout) == (1, "instances/aws.json\n")
    assert (data / "instances" / "aws.json").read_text().splitlines() == before
    run(source, "--data", data)
    after = (data / "instances" / "aws.json").read_text().splitlines()
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_a_model_that_is_gone_takes_its_config_along(source: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run(source, "--data", data)
    gone = "openai__gpt-oss-20b.json"
    table = read(source / "models.json")
    table["models"] = [m for m in table["models"] if m["config_file"] != gone]
    (source / "models.json").write_text(json.dumps(table))
    (source / "model_configs" / gone).unlink()
    assert run(source, "--data", data).returncode == 0
    assert not (data / "configs" / gone).exists()


def without(row: dict[str, Any], key: str) -> None:
    del row[key]


FAULTS: list[tuple[str, str, Callable[[dict[str, Any]], Any], str]] = [
    ("gpus", "gpus", lambda row: row.update(source=" "), "needs a source and a date"),
    ("gpus", "gpus", lambda row: row.update(as_of="lately"), "needs a source and a date"),
    ("gpus", "gpus", lambda row: without(row, "as_of"), "as_of"),
    ("gpus", "gpus", lambda row: row.update(tdp_w="700"), "tdp_w"),
    ("gpus", "gpus", lambda row: row.update(colour="green"), "unknown fields colour"),
    ("gpus", "gpus", lambda row: row.update(unverified=["colour"]), "which is no field"),
    ("gpus", "gpus", lambda row: row.update(tdp_w=-1), "unknown is null"),
    ("gpus", "gpus", lambda row: row.update(id="L4"), "stands twice"),
    ("instances", "instances", lambda row: row.update(on_demand_usd_per_hour=0), "unknown is null"),
    ("instances", "instances", lambda row: row.update(gpu="H1000"), "is not in gpus.json"),
    ("api_prices", "prices", lambda row: row.update(output_usd_per_mtok=0.0), "unknown is null"),
    ("models", "models", lambda row: row.update(config_file="model_configs/other.json"), "config_file is"),
    (
        "models",
        "models",
        lambda row: row.update(id="a/b", config_file="a__b.json"),
        "no file model_configs/a__b.json",
    ),
]


@pytest.mark.parametrize(("file", "key", "spoil", "says"), FAULTS, ids=[f"{f[0]}: {f[3]}" for f in FAULTS])
def test_a_faulty_row_stops_the_import(
    source: Path, tmp_path: Path, file: str, key: str, spoil: Callable[[dict[str, Any]], Any], says: str
) -> None:
    table = read(source / f"{file}.json")
    spoil(table[key][0])
    (source / f"{file}.json").write_text(json.dumps(table))
    done = run(source, "--data", tmp_path / "data")
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_config_must_say_what_it_is(source: Path, tmp_path: Path) -> None:
    path = source / "model_configs" / "microsoft__phi-4.json"
    config = read(path)
    config["_meta"]["repo"] = "microsoft/phi-5"
    path.write_text(json.dumps(config))
    done = run(source, "--data", tmp_path / "data")
    assert (done.returncode, "_meta.repo is 'microsoft/phi-5'" in done.stderr) == (2, True)


def test_a_folder_without_tables(tmp_path: Path) -> None:
    done = run(tmp_path, "--data", tmp_path / "data")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
