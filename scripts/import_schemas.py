"""Make the bundled schemas of the Kubernetes kinds that homeport renders, from pinned sources.

Run by hand when a pin moves: `uv run python scripts/import_schemas.py`. It needs `go` for the modules of the custom
resources, and the package kubernetes-validate for the kinds of Kubernetes itself. The result is data: one file a kind
under `cli/homeport/manifests/schemas/`, and `sources.json` with versions and checksums.

What changes on the way: descriptions, examples and defaults are dropped, references are resolved, every object that
lists its properties takes no others (as the API server's strict validation does), `status` is dropped, and subtrees
that come up more than once are kept once under `$defs`.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

SCHEMAS = Path(__file__).parents[1] / "cli/homeport/manifests/schemas"
KUBERNETES = "1.37.0"
MODULES = {
    "keda": ("github.com/kedacore/keda/v2", "v2.21.0", "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps="),
    "prometheus-operator": (
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
    ),
    "lws": ("sigs.k8s.io/lws", "v0.7.0", "h1:qWfzX8+UBak+Hq0+m/PuE3uO0mp/3dmm5q/h/7z31A8="),
    "gateway-api": ("sigs.k8s.io/gateway-api", "v1.4.0", "h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ="),
    "karpenter-aws": (
        "github.com/aws/karpenter-provider-aws",
        "v1.13.0",
        "h1:NkFC6jM0JjnHMrIVCpmX0j5Gl2kGv9CV96oqvkExV4k=",
    ),
    "karpenter-azure": (
        "github.com/Azure/karpenter-provider-azure",
        "v1.14.0",
        "h1:wAz+49j2y2pEJBV6hzH8lr6LrMJl5BGmdl9MQ7O6Uyw=",
    ),
}
CORE = {
    "Namespace": "namespace-v1",
    "ServiceAccount": "serviceaccount-v1",
    "ConfigMap": "configmap-v1",
    "PersistentVolume": "persistentvolume-v1",
    "PersistentVolumeClaim": "persistentvolumeclaim-v1",
    "Service": "service-v1",
    "Job": "job-batch-v1",
    "Deployment": "deployment-apps-v1",
    "Ingress": "ingress-networking-v1",
    "NetworkPolicy": "networkpolicy-networking-v1",
    "PodDisruptionBudget": "poddisruptionbudget-policy-v1",
    "HorizontalPodAutoscaler": "horizontalpodautoscaler-autoscaling-v2",
}
CUSTOM = {
    "ScaledObject": ("keda", "config/crd/bases/keda.sh_scaledobjects.yaml", "v1alpha1"),
    "PodMonitor": (
        "prometheus-operator",
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        "v1",
    ),
    "LeaderWorkerSet": ("lws", "config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml", "v1"),
    "HTTPRoute": ("gateway-api", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml", "v1"),
    "NodePool": ("karpenter-aws", "pkg/apis/crds/karpenter.sh_nodepools.yaml", "v1"),
    "EC2NodeClass": ("karpenter-aws", "pkg/apis/crds/karpenter.k8s.aws_ec2nodeclasses.yaml", "v1"),
    "AKSNodeClass": ("karpenter-azure", "pkg/apis/crds/karpenter.azure.com_aksnodeclasses.yaml", "v1beta1"),
}
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_TEXTS: dict[str, Any] = {"type": "array", "minItems": 1, "items": _TEXT}
# GKE publishes no CRD of ComputeClass. These fields are written down from the reference "ComputeClass" of its
# documentation (cloud.google.com/kubernetes-engine/docs/reference/crds/computeclass, 2026-11); homeport renders no others.
DOCUMENTED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ComputeClass": (
        "GKE documentation, ComputeClass, 2026-11",
        "cloud.google.com/v1",
        {
            "required": ["priorities", "whenUnsatisfiable"],
            "properties": {
                "nodePoolAutoCreation": {
                    "required": ["enabled"],
                    "properties": {"enabled": {"type": "boolean"}},
                },
                "whenUnsatisfiable": {"type": "string", "enum": ["ScaleUpAnyway", "DoNotScaleUp"]},
                "nodePoolConfig": {
                    "properties": {
                        "imageType": {"type": "string", "enum": ["cos_containerd", "ubuntu_containerd"]},
                        "nodeLabels": {
                            "type": "object",
                            "maxProperties": 100,
                            "additionalProperties": {"type": "string"},
                        },
                    }
                },
                "priorities": {
                    "type": "array",
                    "items": {
                        "properties": {
                            "machineType": {"type": "string", "maxLength": 100},
                            "spot": {"type": "boolean"},
                            "gpu": {
                                "properties": {
                                    "type": _TEXT,
                                    "count": {"type": "integer", "minimum": 1},
                                    "driverVersion": {"type": "string", "enum": ["default", "latest"]},
                                }
                            },
                            "storage": {
                                "properties": {"bootDiskSize": {"type": "integer", "minimum": 10}},
                            },
                            "location": {"properties": {"zones": _TEXTS}},
                            "reservations": {
                                "required": ["affinity"],
                                "properties": {
                                    "affinity": {
                                        "type": "string",
                                        "enum": ["Specific", "AnyBestEffort", "None"],
                                    },
                                    "specific": {
                                        "type": "array",
                                        "items": {"required": ["name"], "properties": {"name": _TEXT}},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    ),
}
# What a validation reads. Formats are left out (int32, date-time): the API server takes care of them.
KEPT = (
    "type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
    "maxProperties", "minProperties", "required", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-map-keys", "x-kubernetes-list-type",
)  # fmt: skip


def main() -> None:
    """Write every schema and the list of sources."""
    SCHEMAS.mkdir(exist_ok=True)
    sources: dict[str, Any] = {"kubernetes": _kubernetes_source()}
    folder = Path(str(files("kubernetes_validate"))) / f"kubernetes-json-schema/v{KUBERNETES}-local-strict"
    definitions = json.loads((folder / "_definitions.json").read_text())["$defs"]
    kinds: dict[str, Any] = {}
    for kind, name in CORE.items():
        schema = json.loads((folder / f"{name}.json").read_text())
        kinds[kind] = (f"kubernetes {KUBERNETES}", reduced(schema, definitions))
    folders = {}
    for name, (module, pinned, checksum) in MODULES.items():
        folders[name] = download(module, pinned, checksum)
        sources[name] = {"module": module, "version": pinned, "sum": checksum}
    for kind, (source, path, served) in CUSTOM.items():
        crd = yaml.load((folders[source] / path).read_text(), Loader=yaml.CSafeLoader)
        schema = next(v for v in crd["spec"]["versions"] if v["name"] == served)["schema"]["openAPIV3Schema"]
        made = reduced(schema, {})
        made["properties"]["metadata"] = kinds["Namespace"][1]["properties"]["metadata"]
        made["properties"]["apiVersion"] = {"type": "string", "enum": [f"{crd['spec']['group']}/{served}"]}
        made["properties"]["kind"] = {"type": "string", "enum": [kind]}
        kinds[kind] = (f"{source} {MODULES[source][1]}", made)
    for kind, (source, api_version, spec) in DOCUMENTED.items():
        made = reduced({"required": ["spec"], "properties": {"spec": spec}}, {})
        made["properties"]["metadata"] = kinds["Namespace"][1]["properties"]["metadata"]
        made["properties"]["apiVersion"] = {"type": "string", "enum": [api_version]}
        made["properties"]["kind"] = {"type": "string", "enum": [kind]}
        kinds[kind] = (source, made)
    for old in SCHEMAS.glob("*.json"):
        old.unlink()
    sources["kinds"] = {}
    for kind, (source, schema) in sorted(kinds.items()):
        schema["properties"].pop("status", None)
        schema["required"] = sorted({"apiVersion", "kind", "metadata", *schema.get("required", ())})
        text = json.dumps(shared(schema), separators=(",", ":"), sort_keys=True) + "\n"
        (SCHEMAS / f"{kind}.json").write_text(text)
        sources["kinds"][kind] = {"source": source, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        print(f"{kind}: {len(text):,} bytes from {source}")
    (SCHEMAS / "sources.json").write_text(json.dumps(sources, indent=1, sort_keys=True) + "\n")


def _kubernetes_source() -> dict[str, str]:
    return {
        "package": "kubernetes-validate",
        "version": version("kubernetes-validate"),
        "kubernetes": KUBERNETES,
    }


def download(module: str, pinned: str, checksum: str) -> Path:
    """Fetch a Go module and return its folder; stop if its checksum is another than the pinned one."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "go.mod").write_text("module schemas\n")
        run = subprocess.run(
            ["go", "mod", "download", "-json", f"{module}@{pinned}"],
            cwd=scratch, capture_output=True, text=True, check=False,
        )  # fmt: skip
    answer = json.loads(run.stdout or "{}")
    if answer.get("Sum") != checksum:
        sys.exit(
            f"{module}@{pinned}: checksum {answer.get('Sum')} {answer.get('Error', '')}, expected {checksum}"
        )
    return Path(answer["Dir"])


def reduced(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """One schema with its references resolved, and only what a validation reads."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    made = {key: schema[key] for key in KEPT if key in schema}
    kinds = {kind for one in schema.get("oneOf", ()) for kind in one.get("type", ()) if kind != "null"}
    if kinds == {"string", "integer"}:
        return {"x-kubernetes-int-or-string": True}
    if kinds == {"string", "number"}:  # a Quantity
        return {"type": ["string", "number"]}
    if kinds:
        sys.exit(f"a union that nobody has met yet: {kinds}")
    if made.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    if isinstance(made.get("type"), list):  # "null" stands for an absent field; homeport renders no nulls
        made["type"] = [t for t in made["type"] if t != "null"]
        if len(made["type"]) == 1:
            made["type"] = made["type"][0]
    if "enum" in made:
        made["enum"] = [value for value in made["enum"] if value is not None]
    if "properties" in schema:
        made["properties"] = {name: reduced(s, definitions) for name, s in schema["properties"].items()}
        made["type"] = "object"
    if "items" in schema:
        made["items"] = reduced(schema["items"], definitions)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict) and extra:
        made["additionalProperties"] = reduced(extra, definitions)
    elif "properties" in schema and not made.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    return made


def shared(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with every subtree that comes up more than once kept once, under `$defs`."""
    seen: dict[str, int] = {}

    def count(node: Any) -> None:
        if isinstance(node, dict):
            text = json.dumps(node, sort_keys=True)
            seen[text] = seen.get(text, 0) + 1
            if seen[text] > 1:
                return
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            count(child)

    count(schema)
    names: dict[str, str] = {}
    defs: dict[str, Any] = {}

    def place(node: Any, *, schema_here: bool) -> Any:
        if isinstance(node, list):
            return [place(child, schema_here=False) for child in node]
        if not isinstance(node, dict):
            return node
        text = json.dumps(node, sort_keys=True)
        repeated = schema_here and seen.get(text, 0) > 1 and len(text) > 60
        if repeated and text in names:
            return {"$ref": names[text]}
        if repeated:
            names[text] = str(len(names))
        made = {
            key: {name: place(s, schema_here=True) for name, s in child.items()}
            if key == "properties"
            else place(child, schema_here=key in ("items", "additionalProperties"))
            for key, child in node.items()
        }
        if not repeated:
            return made
        defs[names[text]] = made
        return {"$ref": names[text]}

    made: dict[str, Any] = place(schema, schema_here=False)
    return made | {"$defs": defs}


if __name__ == "__main__":
    main()
