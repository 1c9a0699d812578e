"""Turn dumps of the engines' argument parsers into the compact flag lists that homeport ships.

Usage: python scripts/import_engine_flags.py DUMP.json [DUMP.json ...]

A dump is JSON: `engine`, `version`, `command`, `source` and `flags`, each with `flags` (spellings), `type`, `nargs`,
`choices`, `action`, `deprecated` and `help`, as a walk over `parser._actions` gives them. Descriptions are dropped:
only what a deprecated flag is replaced by is kept. Lists land in cli/homeport/engines/data/flags/.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "cli/homeport/engines/data/flags"
INTEGERS = {"int"}
COUNTS = {"usize", "u16", "u32", "u64"}
FLOATS = {"float", "f32"}
SIZES = {"human_readable_int", "human_readable_int_or_auto"}
JSONS = {"loads", "parse_dataclass", "json_list_type"}
# What the help of a deprecated flag begins with; a mere mention of the word (of another flag) does not count.
DEPRECATED = re.compile(r"^\(?deprecated\b|--\S+ is deprecated\b", re.IGNORECASE)


def takes(row: dict[str, Any], engine: str) -> str:
    """How many values the flag takes."""
    if engine == "tgi":
        # clap: a bare `bool` is a switch, an `Option<bool>` takes a value.
        if row["type"] == "bool":
            return "one" if row["optional"] else "none"
        return "one"
    nargs = row.get("nargs")
    if row.get("action") in ("EnableDisableAction", "BooleanOptionalAction") or nargs == 0:
        return "none"
    return {None: "one", "?": "optional", "+": "many", "*": "any"}[nargs]


def kind(row: dict[str, Any]) -> str:
    """What its value must look like; types that only the engine can check stay `str`."""
    if row["type"] == "<lambda>" and row.get("choices"):
        return "name"  # vLLM reads these in lower case, with `_` for `-`
    kinds = (("int", INTEGERS), ("count", COUNTS), ("float", FLOATS), ("size", SIZES), ("json", JSONS))
    for name, types in kinds:
        if row["type"] in types:
            return name
    return "str"


def compact(dump: dict[str, Any]) -> dict[str, Any]:
    """The list that ships, flags in the engine's order."""
    hidden: dict[str, list[str]] = {}
    for name, dest in dump.get("hidden_accepted_aliases", {}).items():
        hidden.setdefault(dest, []).append(name)
    flags = []
    for row in dump["flags"]:
        if not row["flags"][0].startswith("-"):
            continue
        names = row["flags"]
        if dump["engine"] == "tgi" and "--prometheus-port" in names:
            names = ["--prometheus-port"]  # the dump lists `-p` twice; clap gives it to --port
        flag: dict[str, Any] = {"names": names}
        if row["dest"] in hidden:
            flag["hidden"] = hidden[row["dest"]]
        if takes(row, dump["engine"]) != "one":
            flag["takes"] = takes(row, dump["engine"])
        if kind(row) != "str":
            flag["kind"] = kind(row)
        if row.get("choices"):
            flag["choices"] = [str(c) for c in row["choices"] if c is not None]
        text = " ".join((row.get("help") or "").split())
        if str(row.get("action", "")).startswith("Deprecated") or DEPRECATED.search(text):
            flag["deprecated"] = text
        flags.append(flag)
    vllm = dump["engine"] == "vllm"
    head = {k: dump[k] for k in ("engine", "version", "command", "source")}
    return head | ({"underscores": True, "dotted": True} if vllm else {}) | {"flags": flags}


def main(paths: list[str]) -> None:
    """Write one list a dump, one flag a line."""
    for path in paths:
        result = compact(json.loads(Path(path).read_text()))
        rows = ",\n".join(
            json.dumps(f, ensure_ascii=False, separators=(",", ":")) for f in result.pop("flags")
        )
        head = json.dumps(result, ensure_ascii=False)[:-1]
        target = DATA / f"{result['engine']}-{result['version']}.json"
        target.write_text(f'{head}, "flags": [\n{rows}\n]}}\n')
        print(f"{target.name}: {rows.count(chr(10)) + 1} flags")


if __name__ == "__main__":
    main(sys.argv[1:])
