"""What an OpenAI endpoint says of itself, asked before load is put on it."""

import math
import random
import re
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from homeport.cluster import bench_prompts
from homeport.cluster.bench_types import Endpoint
from homeport.cluster.errors import NOT_JSON
from homeport.engines.types import Release
from homeport.errors import EnvironmentProblem, HomeportError, NotFoundError
from homeport.text import nearest

SECONDS = 60.0
"""Longest wait for one answer: a cold engine compiles at its first request."""
SAMPLES = (50, 250)
"""Words of the two prompts whose tokens the endpoint is asked to count."""
BODY_LIMIT = 16 * 2**20
VERSION_PATHS = {"sglang": ("/server_info", "/get_server_info"), "tgi": ("/info",)}
SIMULATOR = "homeport-simulator"
_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)", re.M)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def base_url(text: str) -> str:
    """The address without /v1, a query, or a closing slash. Raises HomeportError for one that is none.

    A password in it would show in logs: it is refused, and not repeated.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise HomeportError(f"the endpoint's address is not understood: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise HomeportError(
            "the endpoint's address carries a user name or a password: give the key in an environment variable instead"
        )
    if parts.scheme not in ("http", "https") or not host or "${" in text:
        raise HomeportError(f"'{text}' is no address of an endpoint: write it like http://127.0.0.1:8000")
    path = parts.path.rstrip("/").removesuffix("/v1")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def is_loopback(url: str) -> bool:
    """Whether an address is of this very machine."""
    import ipaddress

    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def ask(url: str, served_name: str, release: Release, key: str | None) -> Endpoint:
    """Ask what is served, by which version, with how much KV cache, and how it counts tokens.

    Raises NotFoundError where the model has another name there, EnvironmentProblem where nobody answers or the key is
    refused.
    """
    if key is not None and not (key.isascii() and key.isprintable()):
        # The HTTP client's own complaint would quote it.
        raise EnvironmentProblem(
            "the endpoint's key cannot be sent: it holds a line break or another character that no key has",
            help="set the environment variable that --api-key-env names anew",
        )
    card = _card(url, served_name, key)
    per_word, per_prompt, counts = _calibrated(url, served_name, key)
    limit = card.get("max_model_len")
    info = _info(url, release.engine, key)
    metrics = _optional(url + release.metrics.path, key)
    return Endpoint(
        url=url,
        served_name=served_name,
        max_model_len=limit if isinstance(limit, int) else None,
        engine_version=_version(info),
        kv_cache_tokens=kv_cache_tokens(metrics.decode("utf-8", "replace")) if metrics else None,
        tokens_per_word=per_word,
        tokens_per_prompt=per_prompt,
        counts_tokens=counts,
    )


def kv_cache_tokens(metrics: str) -> int | None:
    """Tokens of a replica's KV cache, from the text of its /metrics; None: it does not say.

    vLLM has them as a label of `vllm:cache_config_info` (older versions: blocks and their size), one series an engine
    of a data-parallel replica. SGLang has a gauge `sglang:max_total_num_tokens`, the same on each rank.
    """
    total = 0
    for labels in _series(metrics, "vllm:cache_config_info"):
        held = labels.get("kv_cache_size_tokens", "")
        blocks, size = labels.get("num_gpu_blocks", ""), labels.get("block_size", "")
        if held.isdecimal():
            total += int(held)
        elif blocks.isdecimal() and size.isdecimal():
            total += int(blocks) * int(size)
    by_rank: dict[str, float] = {}
    for labels in _series(metrics, "sglang:max_total_num_tokens"):
        rank = labels.get("dp_rank", "")
        by_rank[rank] = max(by_rank.get(rank, 0.0), _tokens(labels[""]))
    return total or round(sum(by_rank.values())) or None


def _tokens(sample: str) -> float:
    """A sample's value, 0 for one that counts nothing."""
    try:
        value = float(sample)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def _series(metrics: str, name: str) -> list[dict[str, str]]:
    """The labels of each series of a metric; the value stands under an empty name."""
    return [
        dict(_LABEL.findall(labels or "")) | {"": value}
        for found, labels, value in _SAMPLE.findall(metrics)
        if found == name
    ]


def _card(url: str, served_name: str, key: str | None) -> dict[str, Any]:
    """The entry of /v1/models."""
    answer = _json(_fetch(url + "/v1/models", key), url + "/v1/models")
    entries = answer.get("data")
    cards = {str(c.get("id")): c for c in entries if isinstance(c, dict)} if isinstance(entries, list) else {}
    if served_name not in cards:
        names = ", ".join(sorted(cards)) or "nothing"
        raise NotFoundError(
            f"model at {url}",
            served_name,
            nearest(served_name, cards),
            help=f"it serves {names}: name one with --served-name",
        )
    return cards[served_name]


def _calibrated(url: str, served_name: str, key: str | None) -> tuple[float, float, bool]:
    """Tokens a word and tokens a prompt of the benchmark's own texts, as the endpoint counts; whether it does."""
    source = random.Random(0)
    counted = []
    for words in SAMPLES:
        body = {
            "model": served_name,
            "messages": [{"role": "user", "content": bench_prompts.text(words, source)}],
            "max_tokens": 1,
        }
        answer = _json(_fetch(url + "/v1/chat/completions", key, msgspec.json.encode(body)), url)
        usage = answer.get("usage")
        tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        if not isinstance(tokens, int) or tokens < 1:
            return 1.0, 0.0, False
        counted.append(tokens)
    per_word = (counted[1] - counted[0]) / (SAMPLES[1] - SAMPLES[0])
    if per_word <= 0:
        return 1.0, 0.0, False
    return per_word, max(counted[0] - per_word * SAMPLES[0], 0.0), True


def _info(url: str, engine: str, key: str | None) -> dict[str, Any]:
    for path in VERSION_PATHS.get(engine, ("/version",)):
        body = _optional(url + path, key)
        if body is not None:
            try:
                found = msgspec.json.decode(body)
            except NOT_JSON:
                continue
            if isinstance(found, dict):
                return found
    return {}


def _version(info: dict[str, Any]) -> str | None:
    found = info.get("version")
    return found if isinstance(found, str) and found else None


def _optional(url: str, key: str | None) -> bytes | None:
    """What a page says; None where there is no such page, as behind a gateway that lets only /v1 through."""
    try:
        return _fetch(url, key)
    except EnvironmentProblem:
        return None


def _json(data: bytes, url: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(data)
    except NOT_JSON:
        found = None
    if not isinstance(found, dict):
        raise EnvironmentProblem(
            f"{url} does not answer like an OpenAI endpoint", help="is it the right address?"
        )
    return found


class _SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the key would go along."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuse."""


def _fetch(url: str, key: str | None, body: bytes | None = None) -> bytes:
    headers = {"Accept": "*/*"} | ({"Authorization": f"Bearer {key}"} if key else {})
    if body is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data=body, headers=headers)
    handlers: list[Any] = [_SameOrigin()]
    if is_loopback(url):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=SECONDS) as answer:
            return _read(answer)
    except urllib.error.HTTPError as error:
        with error:
            said = _said(error, key)
        if error.code in (401, 403):
            raise EnvironmentProblem(
                f"{url} refuses the key ({error.code})" if key else f"{url} asks for a key ({error.code})",
                help="put the key into the environment variable that --api-key-env names",
            ) from None
        raise EnvironmentProblem(
            f"{url} answers {error.code}" + (f": {said}" if said else ""),
            help="the server's log says more",
        ) from None
    except (OSError, HTTPException, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise EnvironmentProblem(
            f"nobody answers at {url}: {why}",
            help="is the server up, and the port forwarded?",
        ) from None


def _read(answer: Any) -> bytes:
    """The body: its first BODY_LIMIT bytes, which must be there within SECONDS as a whole."""
    until = time.monotonic() + SECONDS
    data = b""
    while len(data) < BODY_LIMIT and (part := answer.read1(65_536)):
        data += part
        if time.monotonic() > until:
            raise TimeoutError(f"the answer is not complete after {SECONDS:g} s")
    return data


def _said(error: urllib.error.HTTPError, key: str | None) -> str:
    """The beginning of an error's body, without the key: some servers repeat what they were sent."""
    try:
        said = error.read(300).decode("utf-8", "replace").strip()
    except (OSError, HTTPException):
        return ""
    return said.replace(key, "(hidden)") if key else said
