"""The reference of a file of measurements, from the Structs that read it."""

from typing import Any

from scripts.reference_schemas import parts_of, type_of, value_of
from scripts.reference_tables import HEAD, code, limits, table

INTRODUCTION = """# Measurements

A file of runs that you measured, which `measurements: FILE` in a spec (a path from the spec's own folder) or `--measurements FILE` of
`plan`, `cost` and `render` (a path from the current folder) takes into account. It is JSON:

```json
{
  "schema_version": 1,
  "runs": [
    {
      "model": "Qwen/Qwen3-8B",
      "engine": "vllm",
      "engine_version": "0.33.0",
      "gpu": "L4",
      "tensor_parallel_size": 2,
      "workload": {"input_tokens": 1000, "output_tokens": 300, "concurrency": 8},
      "measured": {"ttft_ms": 350, "tpot_ms": 41.5, "output_tokens_per_s": 186},
      "measured_on": "2026-08-01",
      "tool": "vllm bench serve"
    }
  ]
}
```

One run is one load on one replica, or one start of it. What was not measured is left out or null. An unknown field, a key that
stands twice, a GPU that the catalog does not have, and figures that contradict each other are errors with their line.
`homeport schema measurements` prints the JSON Schema.

How it is used is told in [the numbers](../explanation/numbers.md#measured-runs), step by step in
[a how-to](../how-to/feed-back-measurements.md).

"""

RULES = """## Which plans a run speaks of

A run is of **the same configuration** as a candidate where all of these are equal: checkpoint, engine, engine version, GPU, both
parallel sizes, nodes, precision and the type of the KV cache. `settings` may differ: they are put into the prediction that the run is compared
with.

| figure | a run of the same configuration | runs of other configurations of the engine on the GPU |
| --- | --- | --- |
| `ttft_ms` | replaces the prediction at its load; elsewhere corrects it | nothing |
| `tpot_ms`, `output_tokens_per_s` | the same | draw the prediction towards them |
| `kv_cache_tokens` | replaces it with the same settings; with others, its difference to the prediction is kept | nothing |
| `weights_gib_per_gpu` | replaces it | nothing |
| `ready_s` | replaces it, from the same `storage` | draw it towards them, from the same `storage` |

- A run of the same configuration but for **the engine's version** corrects loads of the same lengths by its ratio, and memory by its
  difference; the interval stays as wide as the prediction's.
- Of several runs of one load, the median counts; of KV caches, the least.
- Where the rate was not measured but both latencies were, it follows from them (Little's law), and the time per token from the rate.
- A model that is neither in the spec nor in the catalog has no prediction to compare with: its runs are left out, and a warning
  says so.
"""


def page() -> str:
    """Return `docs/reference/measurements.md`."""
    from homeport.sizing.measurements import json_schema

    made = [HEAD, INTRODUCTION]
    for name, where, part in parts_of(json_schema()):
        place = f" In {', '.join(code(w) for w in where)}." if where else ""
        made.append(f"## {'The file' if name == 'Spec' else name}\n\n{part['description']}{place}\n\n")
        made.append(table(("field", "type", "default", "meaning"), _rows(part)))
        made.append("\n")
    return "".join([*made, RULES]).rstrip() + "\n"


def _rows(part: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    required = part.get("required", ())
    rows = []
    for key, field in part["properties"].items():
        value = value_of(field)
        ranges = limits({k: v for k, v in value.items() if k != "pattern"})
        meaning = field.get("description", "") + (f" ({ranges})" if ranges else "")
        default = field.get("default")
        shown = (
            "needed" if key in required else "none" if default is None or "$ref" in value else code(default)
        )
        rows.append((code(key), type_of(value), shown, meaning))
    return rows
