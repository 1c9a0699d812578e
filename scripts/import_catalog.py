"""Bring the catalog's data files up to date from a folder of source tables.

    python scripts/import_catalog.py SOURCE_DIR [--check]

SOURCE_DIR holds models.json, gpus.json, instances.json, api_prices.json, benchmarks.json (each `{"<name>": [rows]}`)
and model_configs/<org>__<name>.json. Every row is checked against `homeport.catalog.types`; nothing is written when
one of them is wrong. The result has one row a line with keys in a fixed order, so that a changed price is one changed
line in a review. (machines/, regions.json and the like are written by hand.) `--check` writes nothing and says (exit 1)
which files would change.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from homeport.catalog.types import ApiPrice, Benchmark, Gpu, Instance, Model, Row

DATA = Path(__file__).resolve().parent.parent / "cli" / "homeport" / "catalog" / "data"
# What the tables call by names of their own, said for a reader who does not have them.
REWORDED = {"truth_kv T4 record; others from memory": "on a T4; the others from memory", " (public file)": ""}
CONFIG_KEYS_LAST = ("total_params", "weight_bytes", "_meta")


class FaultyTableError(Exception):
    """A table that must not be imported; the message says which row and why."""


def rows(
    source: Path, name: str, key: str, type_: type[Row], unique: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Read one table and check it: types, no unknown field, a source and a date, no key twice."""
    text = (source / f"{name}.json").read_text(encoding="utf-8")
    for theirs, ours in REWORDED.items():
        text = text.replace(theirs, ours)
    table = json.loads(text)
    last = [f.encode_name for f in msgspec.structs.fields(Row)]
    known = [f.encode_name for f in msgspec.structs.fields(type_) if f.encode_name not in last] + last
    seen: set[tuple[Any, ...]] = set()
    checked = []
    for number, row in enumerate(table[key]):
        where = f"{name}.json, row {number} ({row.get('id', row.get('instance_type'))})"
        if "config_file" in row:
            row["config_file"] = Path(row["config_file"]).name
        if extra := [k for k in row if k not in known]:
            raise FaultyTableError(f"{where}: unknown fields {', '.join(extra)}")
        try:
            parsed = msgspec.convert(row, type_)
        except msgspec.ValidationError as error:
            raise FaultyTableError(f"{where}: {error}") from error
        if not parsed.source.strip() or not parsed.as_of[:4].isdigit():
            raise FaultyTableError(f"{where}: needs a source and a date")
        for field in parsed.unverified:
            if field.split(".")[0] not in [*known, "config"]:
                raise FaultyTableError(f"{where}: 'unverified' names '{field}', which is no field")
        negative = [k for k, v in row.items() if isinstance(v, (int, float)) and v < 0]
        free = [k for k, v in row.items() if k.endswith(("_usd_per_hour", "_usd_per_mtok")) and v == 0]
        if negative or free:
            raise FaultyTableError(
                f"{where}: {', '.join(negative + free)}: below or at zero; unknown is null"
            )
        identity = tuple(row[k] for k in unique)
        if identity in seen:
            raise FaultyTableError(f"{where}: {' + '.join(unique)} stands twice")
        seen.add(identity)
        checked.append({k: row[k] for k in known if k in row})
    return checked


def as_lines(table: list[dict[str, Any]]) -> str:
    """A JSON array with one row a line."""
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in table) + "\n]\n"


def config_text(config: dict[str, Any]) -> str:
    """A config with one top-level key a line."""
    keys = [k for k in config if k not in CONFIG_KEYS_LAST] + [k for k in CONFIG_KEYS_LAST if k in config]
    lines = (f" {json.dumps(k)}: {json.dumps(config[k], ensure_ascii=False)}" for k in keys)
    return "{\n" + ",\n".join(lines) + "\n}\n"


def configs(source: Path, models: list[dict[str, Any]]) -> dict[str, str]:
    """The config files by their path below the data folder; every model has one, and every file says what it is."""
    files = {}
    for path in sorted((source / "model_configs").glob("*.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        meta = config.get("_meta", {})
        if meta.get("repo", "").replace("/", "__") + ".json" != path.name:
            raise FaultyTableError(f"{path.name}: _meta.repo is '{meta.get('repo')}'")
        if not meta.get("source") or not meta.get("as_of") or "unverified" not in meta:
            raise FaultyTableError(f"{path.name}: _meta needs source, as_of and unverified")
        files[f"configs/{path.name}"] = config_text(config)
    for model in models:
        if model["config_file"] != model["id"].replace("/", "__") + ".json":
            raise FaultyTableError(f"models.json, {model['id']}: config_file is '{model['config_file']}'")
        if f"configs/{model['config_file']}" not in files:
            raise FaultyTableError(
                f"models.json, {model['id']}: no file model_configs/{model['config_file']}"
            )
    return files


def tables(source: Path) -> dict[str, str]:
    """Every data file by its path below the data folder."""
    models = rows(source, "models", "models", Model, ("id",))
    gpus = rows(source, "gpus", "gpus", Gpu, ("id",))
    instances = rows(source, "instances", "instances", Instance, ("cloud", "instance_type", "region"))
    known_gpus = {gpu["id"] for gpu in gpus}
    for row in instances:
        if row["gpu"] not in known_gpus:
            raise FaultyTableError(
                f"instances.json, {row['instance_type']}: GPU '{row['gpu']}' is not in gpus.json"
            )
    files = {
        "models.json": as_lines(models),
        "gpus.json": as_lines(gpus),
        "api_prices.json": as_lines(rows(source, "api_prices", "prices", ApiPrice, ("id", "as_of"))),
        "benchmarks.json": as_lines(rows(source, "benchmarks", "benchmarks", Benchmark, ("id",))),
        **configs(source, models),
    }
    # One file a cloud: a plan for one cloud reads only that one.
    for cloud in sorted({row["cloud"] for row in instances}):
        files[f"instances/{cloud}.json"] = as_lines([row for row in instances if row["cloud"] == cloud])
    return files


def main() -> int:
    """Import, or say what an import would change."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="where the data files lie (default: the package)"
    )
    args = parser.parse_args()
    try:
        files = tables(args.source)
    except (FaultyTableError, OSError, KeyError, json.JSONDecodeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    written = [args.data / name for name in files]
    stale = [
        p
        for folder in ("configs", "instances")
        for p in (args.data / folder).glob("*.json")
        if p not in written
    ]
    changed = [
        path
        for path, text in zip(written, files.values(), strict=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in changed + stale:
        print(path.relative_to(args.data))
    if args.check:
        return 1 if changed or stale else 0
    for path in stale:
        path.unlink()
    for path, text in zip(written, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
