"""Guesses at what a user meant: the other names of fields and values, and how a slip is written right."""

import re
from typing import Any

from msgspec import inspect

from homeport.spec.compose import is_number
from homeport.spec.source import shown

# what other tools call the same field, and what people write for it: no spelling distance finds these
OTHER_NAMES = {
    "tp": "tensor_parallel_size",
    "pp": "pipeline_parallel_size",
    "context_length": "max_model_len",
    "quantization": "precision",
    "quantisation": "precision",
    "dtype": "precision",
    "model_id": "model",
    "provider": "platform",
    "cloud": "platform",
    "lora": "adapters",
    "loras": "adapters",
    "args": "extra_args",
    "ingress": "expose",
    "autoscaling": "scaling",
    "token": "hub_token",
    "hf_token": "hub_token",
}
OTHER_VALUES = {
    "aws": "eks",
    "azure": "aks",
    "gcp": "gke",
    "google": "gke",
    "local": "kind",
    "preemptible": "spot",
    "interruptible": "spot",
    "reserved": "on_demand",
    "average": "mean",
    "p50": "mean",
    "bucket": "object_store",
    "gcs": "object_store",
    "s3": "object_store",
    "huggingface": "hub",
    "hf": "hub",
    "disk": "local",
    "public": "load_balancer",
    "hpa": "keda",
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "hipaa": "healthcare_phi_hipaa",
    "gdpr": "financial_pci_gdpr",
    "pci": "financial_pci_gdpr",
    "il5": "government_ilr5",
    "prototype": "startup_mvp",
}


def list_help(value: Any) -> str:
    """Say how a value that stands alone is written as a list."""
    if isinstance(value, dict):
        return "start each item with '- '"
    return f"write [{shown(value)[1:-1] if isinstance(value, str) else shown(value)}]"


def truth_help(value: Any) -> str | None:
    """Say how what YAML 1.1 took for a truth value is written today."""
    word = str(value).lower()
    if word in ("on", "yes", "y", "1", "true"):
        return "write true; 'on' and 'yes' are text in YAML 1.2, and so is what stands in quotes"
    if word in ("off", "no", "n", "0", "false"):
        return "write false; 'off' and 'no' are text in YAML 1.2, and so is what stands in quotes"
    return None


def number_help(value: Any) -> str | None:
    """Say how text that looks like a number is written as one."""
    if not isinstance(value, str):
        return None
    bare = value.strip().replace("_", "").replace(",", "").replace(" ", "")
    if is_number(value.strip()):
        return f"write it without quotes: {value.strip()}"
    if is_number(bare):
        return f"write {bare}: YAML 1.2 has no separators in numbers"
    factor = {"k": 1_000, "m": 1_000_000}.get(bare[-1:].lower())
    if factor and is_number(bare[:-1]) and "x" not in bare:
        return f"write {float(bare[:-1]) * factor:.15g}"
    return None


NO_PASSWORD = "a user name or password does not belong in a spec"
"""How the problem of a URL begins whose text may hold a password, and is therefore not repeated."""


def suggest(value: str, kind: inspect.StrType) -> str | None:
    """Return a name that would do, made from one that does not (names of Kubernetes objects only)."""
    if not kind.pattern or not kind.max_length:
        return None
    if "://" in value:
        value = re.split(r"[/:?#]", value.split("://", 1)[1])[0]
    made = re.sub(r"-+", "-", re.sub(r"[^a-z0-9.-]", "-", value.lower())).strip("-.")
    if not made:
        return None
    for candidate in (made, made.replace(".", "-"), "model-" + made.replace(".", "-")):
        short = candidate[: kind.max_length].strip("-.")
        if short and re.search(kind.pattern, short):
            return short
    return None
