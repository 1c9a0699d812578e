"""What the Hugging Face Hub says of a model, and of a token that wants to read it: asked once, within seconds, or not at all.

Routes: `/{id}/resolve/{revision}/config.json`, `/api/models/{id}?blobs=true`, the beginning of the safetensors index, and
`/api/models/{id}/auth-check`.
The session, the token's places and the typed errors are `huggingface_hub`'s; its helpers that download retry and write
to the user's cache, so the requests are made here. No text of an exception goes into a message: it may quote a header.
"""

import os
import queue
import re
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec

DEADLINE_S = 5.0
GRACE_S = 0.2
"""What the thread gets beyond the deadline to say itself that it has passed."""
CONFIG_LIMIT_BYTES = 4 * 2**20
INFO_LIMIT_BYTES = 16 * 2**20
MOST_BYTES = 2**50
"""More than any checkpoint has (1 PiB): what the Hub says above it is not believed."""
INDEX_HEAD_BYTES = 64 * 2**10
"""An index begins with its metadata; the list of tensors after it is megabytes long."""
ACCESS_LIMIT_BYTES = 64 * 2**10
ASKED_AT_ONCE = 8
MOST_REDIRECTS = 5
PUBLIC = "https://huggingface.co"

_TOTAL_SIZE = re.compile(rb'"total_size"\s*:\s*(\d+)')
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_ACCESS_PATH = re.compile(rf"api/models/{_ID.pattern}/auth-check", re.ASCII)
_TRUE = {"1", "ON", "YES", "TRUE"}


class HubFailure(Exception):  # noqa: N818 - not an error of ours: `resolve` turns it into one
    """Why the Hub gave no config. `reason` completes "…, and"; `help` says what to do next."""

    def __init__(self, kind: str, reason: str, help: str) -> None:  # noqa: A002
        """`kind`: offline, missing, gated, denied, no_config, invalid, timeout, unreachable, limited, server, or unanswered."""
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.help = help


class HubModel(msgspec.Struct, frozen=True, kw_only=True):
    """What the Hub says of a model; `weight_bytes` are the bytes of its safetensors files. None: it did not say."""

    id: str
    config: dict[str, Any]
    revision: str | None
    weight_bytes: int | None
    licence: str | None
    gated: bool | None
    endpoint: str


def is_hub_id(name: str) -> bool:
    """Whether `name` has the form of a Hub id, `organisation/name`."""
    return bool(_ID.fullmatch(name)) and len(name) <= 96 and ".." not in name and "--" not in name


def believed_bytes(size: object) -> int | None:
    """A checkpoint's size as a file or the Hub states it; None where it can be none."""
    whole = isinstance(size, int) and not isinstance(size, bool)
    return size if isinstance(size, int) and whole and 0 < size <= MOST_BYTES else None


def offline_asked() -> bool:
    """Whether the environment forbids asking the Hub (HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE)."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in _TRUE


def endpoint() -> str:
    """The Hub's address: HF_ENDPOINT, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or PUBLIC).rstrip("/")


def shown(where: str) -> str:
    """An endpoint as it may be printed: it may hold a password, which is asked with, not shown."""
    try:
        netloc = urlsplit(where).netloc
    except ValueError:
        return "(no address)"
    return where.replace(netloc, netloc.rpartition("@")[2]) if netloc else where


def _is_address(where: str) -> bool:
    try:
        parts = urlsplit(where)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that hold no address, a port that is no number
        return False


def look_up(id_: str) -> HubModel:
    """Ask the Hub for a model, once: no retry, nothing written, at most `DEADLINE_S` seconds overall.

    Raises `HubFailure`.
    """
    where = endpoint()
    if not _is_address(where):
        raise HubFailure(
            "unreachable", "HF_ENDPOINT is not an http(s) address", "unset HF_ENDPOINT, or write https://…"
        )
    outcome: list[HubModel | HubFailure] = []
    lookup = _Lookup(id_, where, time.monotonic() + DEADLINE_S)
    # A thread, because resolving a host's name cannot be given a time limit.
    worker = threading.Thread(target=lambda: outcome.append(lookup.run()), name="hub", daemon=True)
    worker.start()
    worker.join(DEADLINE_S + GRACE_S)
    answer = outcome[0] if outcome else lookup.timeout()
    if isinstance(answer, HubFailure):
        raise answer
    return answer


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """A question: may this token read this repository of the Hub at `endpoint`? Its repr keeps the token to itself."""

    id: str
    endpoint: str
    token: str

    def __repr__(self) -> str:
        """Without the token."""
        return f"Access({self.id!r}, {shown(self.endpoint)!r})"


def may_read(questions: Sequence[Access]) -> list[HubFailure | None]:
    """Ask the Hub what each token may read: None where it may, else why not, or why it is not known.

    Each question once, `ASKED_AT_ONCE` at a time, all within `DEADLINE_S` seconds. Which kinds of failure are the Hub's
    word on the token: denied (401, 403), gated, missing (a private repository looks like that); the others leave it open.
    """
    if offline_asked():
        return [offline("HF_HUB_OFFLINE is set") for _ in questions]
    lookups = [_Lookup(q.id, q.endpoint, time.monotonic() + DEADLINE_S, q.token) for q in questions]
    answers: dict[int, HubFailure | None] = {}
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(questions)):
        waiting.put(number)

    def work() -> None:
        with suppress(queue.Empty):
            while True:
                number = waiting.get_nowait()
                answers[number] = lookups[number].may_read()

    workers = [threading.Thread(target=work, name="hub", daemon=True) for _ in questions[:ASKED_AT_ONCE]]
    end = time.monotonic() + DEADLINE_S + GRACE_S
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(0.0, end - time.monotonic()))
    return [answers.get(n, lookup.timeout()) for n, lookup in enumerate(lookups)]


class _Lookup:
    """One look-up: its requests share a deadline (`time.monotonic`). `token`: instead of the user's own."""

    def __init__(self, id_: str, where: str, deadline: float, token: str | None = None) -> None:
        self.id = id_
        self.where = where
        self.deadline = deadline
        self.token = token
        self.shown = shown(where)
        self.host = self.shown.partition("://")[2] or self.shown
        self.sends_token = False

    def run(self) -> HubModel | HubFailure:
        """Make the requests. Every failure becomes a `HubFailure`, whose text quotes nothing."""
        try:
            return self._run()
        except HubFailure as failure:
            return failure
        except Exception as error:
            return self._why(error)

    def may_read(self) -> HubFailure | None:
        """Ask whether the token may read the repository; None where it may."""
        from huggingface_hub import errors

        if not _is_address(self.where):
            return HubFailure("unreachable", "HF_ENDPOINT of the pods is not an http(s) address", "")
        if not self.token:
            return HubFailure("denied", "the token is empty", "")
        path = f"api/models/{self.id}/auth-check"
        try:
            for _ in range(MOST_REDIRECTS):
                page, headers = self._get(path, ACCESS_LIMIT_BYTES, cut=True, follow=False)
                if "location" not in headers:
                    break
                # Followed to the same question about a renamed repository only, and never with the token in an address.
                to = urljoin(f"{self.where}/{path}", headers["location"]).removeprefix(f"{self.where}/")
                if not _ACCESS_PATH.fullmatch(to) or self.token in to:
                    return self._unanswered("sends it elsewhere, where the token was not sent")
                path = to
            else:
                return self._unanswered("redirects without end")
        except HubFailure as failure:
            return failure
        except Exception as error:
            bare = isinstance(error, errors.HfHubHTTPError) and error.response.status_code == 404
            if bare and not isinstance(error, errors.RepositoryNotFoundError):
                return self._unanswered("does not know the question (404)")
            return self._why(error)
        if page.lstrip().startswith(b"<"):
            return self._unanswered("answered with a web page: a proxy, perhaps")
        return None

    def _unanswered(self, how: str) -> HubFailure:
        return HubFailure("unanswered", f"the Hub ({self.host}) {how}", "")

    def _run(self) -> HubModel:
        text, headers = self._get(f"{self.id}/resolve/main/config.json", CONFIG_LIMIT_BYTES)
        config = self._object(text, "config.json")
        revision = _text(headers.get("x-repo-commit"))
        info: dict[str, Any] = {}
        size: int | None = None
        # The config is what counts: where the rest can't be had, for whatever reason, it stays unknown.
        with suppress(Exception):
            info = self._object(
                self._get(f"api/models/{self.id}?blobs=true", INFO_LIMIT_BYTES)[0], "its description"
            )
            size = self._weight_bytes(info, revision or "main")
        given_id = info.get("id")
        return HubModel(
            id=given_id if isinstance(given_id, str) and is_hub_id(given_id) else self.id,
            config=config,
            revision=revision or _text(info.get("sha")),
            weight_bytes=size,
            licence=_licence(info),
            gated=bool(info["gated"]) if "gated" in info else None,
            endpoint=self.shown,
        )

    def _weight_bytes(self, info: Mapping[str, Any], revision: str) -> int | None:
        files = {f.get("rfilename"): f.get("size") for f in info.get("siblings") or [] if isinstance(f, dict)}
        if "model.safetensors.index.json" in files:
            path = f"{self.id}/resolve/{revision}/model.safetensors.index.json"
            found = _TOTAL_SIZE.search(self._get(path, INDEX_HEAD_BYTES, cut=True)[0])
            return believed_bytes(int(found[1])) if found else None
        return believed_bytes(files.get("model.safetensors"))

    def _get(
        self, path: str, limit: int, *, cut: bool = False, follow: bool = True
    ) -> tuple[bytes, Mapping[str, str]]:
        """GET a path below the endpoint: at most `limit` bytes (more is a failure unless `cut`), before the deadline."""
        from huggingface_hub import constants, get_session, get_token
        from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # exported lazily

        headers = {"user-agent": "homeport", "accept-encoding": "identity"}
        token = self.token
        if token is None and not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
            token = get_token()
        if token:
            if not token.isascii() or not token.isprintable() or " " in token:
                who = "HF_TOKEN (or the saved token)" if self.token is None else "the token"
                raise HubFailure(
                    "denied",
                    f"{who} holds characters that no token of the Hub has",
                    "set HF_TOKEN to a token of your account, or unset it",
                )
            headers["authorization"] = f"Bearer {token}"
            self.sends_token = True
        body = bytearray()
        with get_session().stream(
            "GET", f"{self.where}/{path}", headers=headers, timeout=self._left(), follow_redirects=follow
        ) as response:
            # A redirect to another host leaves the token behind.
            self.sends_token = bool(token) and response.request.headers.get("authorization") == headers.get(
                "authorization"
            )
            if response.status_code >= 400:
                # The headers say which error it is; the body, which may be endless, is left unread.
                said = {k: v for k, v in response.headers.items() if k.startswith("x-error-")}
                hf_raise_for_status(
                    type(response)(response.status_code, headers=said, request=response.request)
                )
            if response.status_code >= 300 and "location" not in response.headers:
                raise self._status(response.status_code, "give a path to its config.json")
            for chunk in response.iter_bytes():
                body += chunk
                self._left()
                if len(body) > limit:
                    if cut:
                        break
                    raise HubFailure(
                        "invalid",
                        f"what the Hub ({self.host}) sent is longer than {limit // 2**20} MiB",
                        "give a path to its config.json",
                    )
            return bytes(body), dict(response.headers)

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.timeout()
        return left

    def _object(self, text: bytes, what: str) -> dict[str, Any]:
        import json

        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise HubFailure(
                "invalid",
                f"{what} that the Hub ({self.host}) sent is not a JSON object",
                "check HF_ENDPOINT and proxies, or give a path to its config.json",
            )
        return value

    def timeout(self) -> HubFailure:
        """The failure of a look-up that took too long."""
        return HubFailure(
            "timeout",
            f"the Hub ({self.host}) did not answer within {DEADLINE_S:.0f} s",
            "try again, set HF_HUB_OFFLINE=1, or give a path to its config.json",
        )

    def _why(self, error: Exception) -> HubFailure:
        from huggingface_hub import errors

        # By name: which HTTP library huggingface_hub brings differs between its versions.
        classes = {c.__name__ for c in type(error).__mro__}
        page = f"{self.shown}/{self.id}"
        path_help = "give a path to its config.json"
        if (
            isinstance(error, errors.HfHubHTTPError)
            and error.response.status_code == 401
            and self.sends_token
        ):
            # Whoever is let in gets 403 or 404 instead, whatever the error's code says.
            return self._status(401, path_help)
        if isinstance(error, errors.GatedRepoError):
            if self.sends_token:
                return HubFailure(
                    "gated",
                    "it is gated on the Hub: the token's account has not been granted access",
                    f"accept its licence at {page} with that account, or {path_help}",
                )
            return HubFailure(
                "gated",
                "it is gated on the Hub",
                f"accept its licence at {page} and set HF_TOKEN, or {path_help}",
            )
        if isinstance(error, errors.RemoteEntryNotFoundError):
            return HubFailure("no_config", "its repository on the Hub has no config.json", path_help)
        if isinstance(error, errors.OfflineModeIsEnabled):
            return offline("HF_HUB_OFFLINE is set")
        if isinstance(error, errors.RepositoryNotFoundError):
            more = "" if self.sends_token else "; a private one needs HF_TOKEN"
            return HubFailure("missing", "it is not on the Hub", f"check the name{more}, or {path_help}")
        if "TimeoutException" in classes:
            return self.timeout()
        if isinstance(error, errors.HfHubHTTPError):
            return self._status(error.response.status_code, path_help)
        if "TooManyRedirects" in classes:
            return HubFailure("server", f"the Hub ({self.host}) redirects without end", "check HF_ENDPOINT")
        return HubFailure(
            "unreachable",
            f"the Hub ({self.host}) cannot be reached ({type(error).__name__})",
            f"check the network and HF_ENDPOINT, set HF_HUB_OFFLINE=1, or {path_help}",
        )

    def _status(self, status: int, path_help: str) -> HubFailure:
        if status == 404:
            return HubFailure("missing", "it is not on the Hub", f"check the name, or {path_help}")
        if status in (401, 403):
            token = "the token" if self.sends_token else "a request without a token"
            return HubFailure(
                "denied",
                f"the Hub ({self.host}) refused {token} ({status})",
                f"check HF_TOKEN, or {path_help}",
            )
        if status == 429:
            return HubFailure(
                "limited", f"the Hub ({self.host}) takes no more requests now (429)", "try again later"
            )
        return HubFailure(
            "server", f"the Hub ({self.host}) answered {status}", f"try again later, or {path_help}"
        )


def offline(why: str) -> HubFailure:
    """The failure of a look-up that was not made."""
    return HubFailure(
        "offline",
        f"the Hub was not asked: {why}",
        "give a path to its config.json, or a model of `homeport models list`",
    )


def _text(value: object) -> str | None:
    """Text from the Hub that may be printed: anybody can write a model card, escape codes included."""
    return value if isinstance(value, str) and value and value.isprintable() and len(value) <= 100 else None


def _licence(info: Mapping[str, Any]) -> str | None:
    """`license` of the model card; "other" is named by `license_name`. The tag `license:…` says the same."""
    card = info.get("cardData")
    if isinstance(card, dict):
        licence = _text(card.get("license"))
        if licence and licence != "other":
            return licence
        return _text(card.get("license_name")) or licence
    tags = info.get("tags")
    for tag in tags if isinstance(tags, list) else []:
        if isinstance(tag, str) and tag.startswith("license:"):
            return _text(tag.removeprefix("license:"))
    return None
