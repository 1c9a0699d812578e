"""Arguments that would put a secret into a manifest: they are refused, and their text is repeated nowhere."""

import json
import re
from typing import Any

# Flags and keys that take a secret: vLLM 0.33.0 --hf-token and --api-key; SGLang 0.5.23 --api-key, --admin-api-key and
# --ssl-keyfile-password; TGI 3.3.7 --api-key and --ngrok-authtoken; and what a variable or a key of JSON may be called.
NAME = re.compile(
    r"(^|[-_.])((hf|hub|hugging[-_]?face(hub)?|access|bearer|refresh|session|api)[-_]?token|auth[-_]?token|api[-_]?key|"
    r"(access|private|secret)[-_]?key([-_]id)?|password|passwd|passphrase|secret|authorization)$|"
    r"(^-*|\.)token$",
    re.IGNORECASE,
)
USER_INFO = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@]+@", re.IGNORECASE)
# How the tokens of the Hub, of API providers and of clouds begin.
TOKEN = re.compile(
    r"\b(hf_[A-Za-z0-9]{16,}|sk-[\w-]{16,}|gh[opsu]_[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{12,}|eyJ[\w-]{10,}\.\w)"
)
VARIABLE = re.compile(r"\$\([A-Za-z_]\w*\)")
"""What Kubernetes replaces by a variable of the container: it holds no secret itself."""

INSTEAD = {
    "--hf-token": "name a Secret in `hub_token:`; homeport gives it to the pod as HF_TOKEN",
    "--api-key": "name a Secret in `api_key:`",
    "--admin-api-key": "name a Secret in `api_key:`",
    "--ngrok-authtoken": "`expose:` says who can reach the model",
    "--ssl-keyfile-password": "the server speaks plain HTTP; `expose:` sets who can reach it, and TLS before it",
}
OTHERWISE = "name a Secret in `hub_token:` or `api_key:`"


def name_of(arg: str) -> str:
    """The part of an argument that names its flag."""
    return re.split(r"[=\s]", arg, maxsplit=1)[0]


def holds(arg: str, following: tuple[str, ...]) -> bool:
    """Whether an argument, or one of the values that follow it, is or may be a secret."""
    name = name_of(arg)
    rest = arg[len(name) + 1 :]
    given = [v for v in (rest, *following) if v.strip()]
    if NAME.search(name) and any(not VARIABLE.fullmatch(v.strip()) for v in given):
        return True
    return any(_is_secret(text) for text in (name, *given))


def _is_secret(text: str) -> bool:
    if USER_INFO.search(text) or TOKEN.search(text):
        return True
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        return _in_json(json.loads(text))
    except (ValueError, RecursionError):
        return False


def _in_json(value: Any) -> bool:
    if isinstance(value, dict):
        return any(
            (isinstance(v, str) and bool(NAME.search(k)) and v != "" and not VARIABLE.fullmatch(v))
            or _in_json(v)
            for k, v in value.items()
        )
    return isinstance(value, list) and any(_in_json(v) for v in value)
