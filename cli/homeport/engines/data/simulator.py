"""A stand-in for a vLLM server: the OpenAI API, vLLM's metrics and its drain, without a model. Standard library only.

Requests queue as in a real engine: at most --max-num-seqs run at once, and their tokens must fit into the KV cache.
Answers are made up; the time to the first token and per token after it are settings.
"""

import argparse
import asyncio
import bisect
import json
import logging
import math
import os
import signal
import sys
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

LOG = logging.getLogger("simulator")
WORDS = "this answer was made up by a simulator that loads no model and only keeps the time of one".split()  # noqa: SIM905
USUAL_TOKENS = 64  # length of an answer when the request names no limit
MOST_CHOICES = 128
BODY_LIMIT = 64 * 2**20


def bounds(text: str) -> tuple[float, ...]:
    """Upper bounds of a histogram's buckets."""
    return tuple(float(word) for word in text.split())


# vLLM's buckets.
SECONDS = bounds("0.3 0.5 0.8 1 1.5 2 2.5 5 10 15 20 30 40 50 60 120 240 480 960 1920 7680")
FIRST = bounds("0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 20 40 80 160 640 2560")
NEXT = bounds("0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1 2.5 5 7.5 10 20 40 80")
SIZES = bounds("1 2 5 10 20 50 100 200 500 1000 2000 5000 10000 20000 50000 100000 200000 500000 1000000")
HISTOGRAMS = {
    "request_prompt_tokens": SIZES,
    "request_generation_tokens": SIZES,
    "time_to_first_token_seconds": FIRST,
    "inter_token_latency_seconds": NEXT,
    "request_time_per_output_token_seconds": NEXT,
    "e2e_request_latency_seconds": SECONDS,
    "request_queue_time_seconds": SECONDS,
    "request_inference_time_seconds": SECONDS,
    "request_prefill_time_seconds": SECONDS,
    "request_decode_time_seconds": SECONDS,
}


class RefusedError(Exception):
    """A request that gets an error, in the form that vLLM gives it."""

    def __init__(
        self, status: int, message: str, kind: str = "BadRequestError", param: str | None = None
    ) -> None:
        """Keep the status and the body."""
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": status}}


class GoneError(Exception):
    """The client closed the connection, or the drain ran out."""


class Histogram:
    """A Prometheus histogram."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """`bounds` are the buckets' upper ends, without infinity."""
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """The exposition text."""
        yield f"# TYPE {name} histogram"
        seen = 0
        for bound, count in zip((*self.bounds, "+Inf"), self.counts, strict=True):
            seen += count
            yield f'{name}_bucket{{{labels},le="{bound}"}} {float(seen)}'
        yield f"{name}_count{{{labels}}} {float(seen)}"
        yield f"{name}_sum{{{labels}}} {self.total}"


class Request:
    """One request on its way through the queue."""

    def __init__(self, prompt_tokens: int, output_tokens: int, reason: str, choices: int) -> None:
        """`reason` is how it ends (stop or length), `choices` how many answers it gets at once."""
        self.prompt_tokens, self.output_tokens = prompt_tokens, output_tokens
        self.kv = prompt_tokens + output_tokens * choices
        self.reason, self.choices = reason, choices
        self.arrived, self.admitted, self.made = time.monotonic(), asyncio.Event(), 0


class Engine:
    """The queue, the clock and the counters."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Everything at zero: vLLM shows all its series before the first request."""
        self.options = options
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self.lora_seen = 0.0
        self.prompt_tokens = self.generation_tokens = 0
        self.finished = dict.fromkeys(("stop", "length", "abort", "error", "repetition"), 0)
        self.http: dict[tuple[str, str, int], int] = {}
        self.aborting = asyncio.Event()
        self.histograms = {name: Histogram(buckets) for name, buckets in HISTOGRAMS.items()}

    def admit(self) -> None:
        """Let requests run, in the order of arrival, as long as there is room."""
        free = self.options.kv_cache_tokens - sum(r.kv for r in self.running)
        while self.waiting and len(self.running) < self.options.max_num_seqs and self.waiting[0].kv <= free:
            request = self.waiting.popleft()
            self.running.append(request)
            free -= request.kv
            request.admitted.set()

    def used(self) -> int:
        """Tokens in the KV cache."""
        return sum(r.prompt_tokens + r.made * r.choices for r in self.running)

    async def generate(self, request: Request, client: asyncio.StreamReader) -> AsyncGenerator[int, None]:
        """Yield the number of each token when it is due; raises GoneError when the client leaves or the drain runs out."""
        request.kv = min(request.kv, self.options.kv_cache_tokens)
        self.waiting.append(request)
        reason = "abort"
        try:
            self.admit()
            await self.until(request.admitted.wait(), client)
            begun = first = last = time.monotonic()
            for number in range(request.output_tokens):
                await self.pause((self.options.tpot_ms if number else self.options.ttft_ms) / 1000, client)
                now = time.monotonic()
                request.made += 1
                self.generation_tokens += request.choices
                if number == 0:
                    first = now
                    self.prompt_tokens += request.prompt_tokens
                    self.histograms["time_to_first_token_seconds"].observe(now - request.arrived)
                else:
                    self.histograms["inter_token_latency_seconds"].observe(now - last)
                last = now
                yield number
            reason = request.reason
            self.done(request, begun, first, last)
        finally:
            self.finished[reason] += 1
            if request in self.running:
                self.running.remove(request)
            elif request in self.waiting:
                self.waiting.remove(request)
            self.admit()

    def done(self, request: Request, begun: float, first: float, last: float) -> None:
        """Count a request that ended well."""
        for key, value in (
            ("request_prompt_tokens", request.prompt_tokens),
            ("request_generation_tokens", request.made * request.choices),
            ("e2e_request_latency_seconds", last - request.arrived),
            ("request_queue_time_seconds", begun - request.arrived),
            ("request_inference_time_seconds", last - begun),
            ("request_prefill_time_seconds", first - begun),
            ("request_decode_time_seconds", last - first),
        ):
            self.histograms[key].observe(value)
        if request.made > 1:
            each = (last - first) / (request.made - 1)
            self.histograms["request_time_per_output_token_seconds"].observe(each)

    async def until(self, thing: Awaitable[object], client: asyncio.StreamReader) -> None:
        """Wait for `thing`, and look whether somebody still wants it."""
        task = asyncio.ensure_future(thing)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=0.2)
                if not task.done() and (client.at_eof() or self.aborting.is_set()):
                    raise GoneError
        finally:
            task.cancel()

    async def pause(self, seconds: float, client: asyncio.StreamReader) -> None:
        """Sleep until the next token is due."""
        if seconds > 0.2:
            await self.until(asyncio.sleep(seconds), client)
        else:
            await asyncio.sleep(seconds)
        if client.at_eof() or self.aborting.is_set():
            raise GoneError

    def metrics(self) -> str:
        """What Prometheus reads: vLLM's names and labels."""
        size = self.options.kv_cache_tokens
        waiting = len(self.waiting)
        rows: dict[str, dict[str, float]] = {
            "num_requests_running": {"": len(self.running)},
            "num_requests_waiting": {"": waiting},
            "num_requests_waiting_by_reason": {',reason="capacity"': waiting, ',reason="deferred"': 0},
            "kv_cache_usage_perc": {"": self.used() / size},
            "prefix_cache_queries_total": {"": self.prompt_tokens},
            "prefix_cache_hits_total": {"": 0},
            "num_preemptions_total": {"": 0},
            "prompt_tokens_total": {"": self.prompt_tokens},
            "generation_tokens_total": {"": self.generation_tokens},
            "request_success_total": {f',finished_reason="{r}"': n for r, n in self.finished.items()},
        }
        if self.lora_seen:  # absent in vLLM too before the first request for an adapter
            most = len(self.options.adapters)
            adapters = f',max_lora="{most}",running_lora_adapters="",waiting_lora_adapters=""'
            rows["lora_requests_info"] = {adapters: self.lora_seen}
        engine = 'engine="0"'
        labels = f'{engine},model_name="{escape(self.options.served_model_name)}"'
        out = []
        for name, values in rows.items():
            out.append(f"# TYPE vllm:{name} {'counter' if name.endswith('_total') else 'gauge'}")
            out.extend(f"vllm:{name}{{{labels}{more}}} {float(value)}" for more, value in values.items())
        for name, histogram in self.histograms.items():
            out.extend(histogram.lines("vllm:" + name, labels))
        info = (
            f'block_size="16",cache_dtype="auto",num_gpu_blocks="{size // 16}",kv_cache_size_tokens="{size}"'
        )
        info += f',kv_cache_max_concurrency="{size / self.options.max_model_len}"'
        out += ["# TYPE vllm:cache_config_info gauge", f"vllm:cache_config_info{{{engine},{info}}} 1.0"]
        out.append("# TYPE http_requests_total counter")
        for (method, handler, status), count in self.http.items():
            at = f'handler="{handler}",method="{method}",status="{status // 100}xx"'
            out.append(f"http_requests_total{{{at}}} {float(count)}")
        return "\n".join(out) + "\n"


def escape(text: str) -> str:
    """A label's value."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def text_tokens(text: str) -> int:
    """About as many tokens as English text of this length has."""
    return math.ceil(len(text) / 4)


def chat_tokens(body: dict[str, Any]) -> tuple[int, int]:
    """Tokens of a conversation, and how many there are (one); raises RefusedError where it is none."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        raise RefusedError(400, "messages: at least one message is required", "Bad Request", "messages")
    texts = (m.get("content") for m in messages)
    return sum(4 + text_tokens(t if isinstance(t, str) else json.dumps(t)) for t in texts), 1


def prompt_tokens(body: dict[str, Any]) -> tuple[int, int]:
    """Tokens of one or more prompts, and how many there are; raises RefusedError where there is none."""
    given = body.get("prompt")
    many = isinstance(given, list) and bool(given) and not isinstance(given[0], int)
    prompts: list[Any] = given if many and isinstance(given, list) else [given]
    if not all(isinstance(p, str | list) and p for p in prompts):
        raise RefusedError(
            400, "prompt: a text, or a list of texts or tokens, is required", "Bad Request", "prompt"
        )
    return sum(text_tokens(p) if isinstance(p, str) else len(p) for p in prompts), len(prompts)


def integer(body: dict[str, Any], name: str, low: int) -> int | None:
    """A number of the request (None: it has none); raises RefusedError below `low`."""
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
        raise RefusedError(400, f"{name} must be at least {low}, got {value!r}.", param=name)
    return value


class Server:
    """HTTP/1.1 by hand: the handful of routes that clients, probes and Prometheus use."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Nothing listens yet; the key comes from the environment, as vLLM takes it."""
        self.options, self.engine = options, Engine(options)
        self.draining, self.busy, self.idle = False, 0, asyncio.Event()
        self.keys = [k for k in os.environ.get("VLLM_API_KEY", "").split(",") if k]
        self.names = [options.served_model_name, *options.adapters]
        self.connections: set[asyncio.StreamWriter] = set()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests, one after the other."""
        self.connections.add(writer)
        try:
            while not self.draining or self.busy:
                head = await reader.readuntil(b"\r\n\r\n")
                self.busy += 1
                try:
                    keep = await self.exchange(head.decode("latin-1"), reader, writer)
                finally:
                    self.busy -= 1
                    if not self.busy:
                        self.idle.set()
                if not keep:
                    break
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, GoneError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()

    async def exchange(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and answer it; whether the connection stays open."""
        first, *rest = head.rstrip("\r\n").split("\r\n")
        parts = first.split(" ")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in rest)}
        keep = headers.get("connection", "").lower() != "close" and parts[-1] == "HTTP/1.1"
        method, path = parts[0], (parts[1] if len(parts) == 3 else "/").partition("?")[0]
        reply = Reply(writer, keep)
        try:
            if len(parts) != 3:
                reply.keep = False
                raise RefusedError(400, "Invalid HTTP request received.")
            body = await self.body(headers, reader, writer)
            await self.route(method, path, headers, body, reply, reader)
        except RefusedError as refused:
            await reply.json(refused.status, refused.body)
        except (GoneError, ConnectionError):
            reply.keep = False
        key = (method, path if path in ROUTES else "none", reply.status or 499)
        self.engine.http[key] = self.engine.http.get(key, 0) + 1
        return reply.keep

    async def body(
        self, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """The request's body, by length or in chunks; raises GoneError where it is malformed or too long."""
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            if headers.get("transfer-encoding", "").lower() != "chunked":
                length = int(headers.get("content-length", "0"))
                if not 0 <= length <= BODY_LIMIT:
                    raise GoneError
                return await reader.readexactly(length)
            data = b""
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                if not 0 < size <= BODY_LIMIT - len(data):
                    raise GoneError
                data += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readuntil(b"\r\n")
        except ValueError as error:
            raise GoneError from error
        return data

    async def route(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        reply: "Reply",
        reader: asyncio.StreamReader,
    ) -> None:
        """Answer by path; only /v1 asks for the key, as in vLLM."""
        if path not in ROUTES:
            await reply.json(404, {"detail": "Not Found"})
        elif method != ROUTES[path]:
            await reply.json(405, {"detail": "Method Not Allowed"})
        elif path.startswith("/v1") and not self.may(headers.get("authorization", "")):
            await reply.json(401, {"error": "Unauthorized"})
        elif path in ("/health", "/ping"):
            await reply.send(200, b"", "text/plain")
        elif path == "/metrics":
            await reply.send(200, self.engine.metrics().encode(), "text/plain; version=0.0.4; charset=utf-8")
        elif path == "/version":
            await reply.json(200, {"version": "homeport-simulator"})
        elif path == "/v1/models":
            await reply.json(200, {"object": "list", "data": [self.card(n) for n in self.names]})
        else:
            await self.complete(path.endswith("chat/completions"), body, reply, reader)

    def may(self, authorization: str) -> bool:
        """Whether the client has a key, where keys are asked for."""
        scheme, _, key = authorization.partition(" ")
        return not self.keys or (scheme.lower() == "bearer" and key in self.keys)

    def card(self, name: str) -> dict[str, Any]:
        """One entry of /v1/models."""
        base = name == self.options.served_model_name
        return {
            "id": name, "object": "model", "created": int(time.time()), "owned_by": "vllm",
            "root": self.options.model if base else name, "parent": None if base else self.options.served_model_name,
            "max_model_len": self.options.max_model_len if base else None, "permission": [],
        }  # fmt: skip

    async def complete(self, chat: bool, data: bytes, reply: "Reply", reader: asyncio.StreamReader) -> None:
        """Answer a completion."""
        if self.draining:  # what vLLM says to requests that come after SIGTERM
            raise RefusedError(500, "cannot schedule new futures after shutdown", "InternalServerError")
        try:
            body = json.loads(data)
        except ValueError as error:
            raise RefusedError(400, f"JSON decode error: {error}", "Bad Request") from error
        if not isinstance(body, dict):
            raise RefusedError(400, "Input should be a valid dictionary", "Bad Request")
        name = body.get("model") or self.options.served_model_name
        if name not in self.names:
            raise RefusedError(404, f"The model `{name}` does not exist.", "NotFoundError", "model")
        if name != self.options.served_model_name:
            self.engine.lora_seen = time.time()
        request = self.read(chat, body)
        shape = {
            "id": ("chatcmpl-" if chat else "cmpl-") + uuid.uuid4().hex,
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": name,
        }
        made = request.output_tokens * request.choices
        usage = {
            "prompt_tokens": request.prompt_tokens,
            "total_tokens": request.prompt_tokens + made,
            "completion_tokens": made,
        }
        if body.get("stream"):
            options = body.get("stream_options")
            wanted = isinstance(options, dict) and options.get("include_usage")
            await self.stream(chat, request, shape, usage if wanted else None, reply, reader)
            return
        text = "".join([piece(n) async for n in self.engine.generate(request, reader)])
        said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        choices = [choice(i, said, request.reason) for i in range(request.choices)]
        await reply.json(200, {**shape, "choices": choices, "usage": usage})

    def read(self, chat: bool, body: dict[str, Any]) -> Request:
        """Check a request as vLLM does, and count its tokens."""
        limit = self.options.max_model_len
        prompt, prompts = chat_tokens(body) if chat else prompt_tokens(body)
        asked = integer(body, "max_completion_tokens", 1) if chat else None
        asked = asked or integer(body, "max_tokens", 1) or (None if chat else 16)
        least = limit if body.get("ignore_eos") else integer(body, "min_tokens", 0) or 0
        answers = prompts * (integer(body, "n", 1) or 1)
        if answers > MOST_CHOICES:
            raise RefusedError(400, f"at most {MOST_CHOICES} answers at once", param="n")
        if prompt >= limit or (asked and prompt + asked > limit):
            raise RefusedError(
                400,
                f"This model's maximum context length is {limit} tokens. However, you requested {asked or 1} output "
                f"tokens and your prompt contains at least {prompt} input tokens, for a total of at least "
                f"{prompt + (asked or 1)} tokens.",
                param="input_tokens",
            )
        most = asked or limit - prompt
        output = min(most, max(USUAL_TOKENS, least))
        return Request(prompt, output, "length" if output == most else "stop", answers)

    async def stream(
        self,
        chat: bool,
        request: Request,
        shape: dict[str, Any],
        usage: dict[str, int] | None,
        reply: "Reply",
        reader: asyncio.StreamReader,
    ) -> None:
        """Send each token as it is made."""
        await reply.begin()
        if chat:
            shape = {**shape, "object": "chat.completion.chunk"}
            begun = {"delta": {"role": "assistant", "content": ""}}
            await reply.event({**shape, "choices": [choice(i, begun, None) for i in range(request.choices)]})
        async with aclosing(self.engine.generate(request, reader)) as tokens:
            async for number in tokens:
                end = request.reason if number == request.output_tokens - 1 else None
                said = {"delta": {"content": piece(number)}} if chat else {"text": piece(number)}
                await reply.event(
                    {**shape, "choices": [choice(i, said, end) for i in range(request.choices)]}
                )
        if usage:
            await reply.event({**shape, "choices": [], "usage": usage})
        await reply.event("[DONE]")
        await reply.end()

    async def run(self) -> int:
        """Serve until SIGTERM, then finish what is open; the exit code (1: requests were lost)."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:  # like an engine that loads: the port stays closed
            await asyncio.wait_for(stop.wait(), self.options.startup_seconds)
            return 0
        except TimeoutError:
            pass
        listener = await asyncio.start_server(
            self.connection, self.options.host, self.options.port, limit=2**16
        )
        LOG.info("%s on port %s", self.options.served_model_name, self.options.port)
        await stop.wait()
        self.draining = True
        LOG.info("draining %s requests for at most %s s", self.busy, self.options.shutdown_timeout)
        lost = 0
        try:
            async with asyncio.timeout(self.options.shutdown_timeout):
                while self.busy:
                    self.idle.clear()
                    await self.idle.wait()
        except TimeoutError:
            lost = self.busy
            self.engine.aborting.set()
            await asyncio.sleep(0.3)
        listener.close()
        for writer in list(self.connections):
            writer.close()
        LOG.info("stopped, %s requests lost", lost)
        return 1 if lost else 0


class Reply:
    """One HTTP response."""

    def __init__(self, writer: asyncio.StreamWriter, keep: bool) -> None:
        """`keep`: the connection stays open."""
        self.writer, self.keep = writer, keep
        self.status: int | None = None

    async def send(self, status: int, data: bytes, kind: str) -> None:
        """All of it at once."""
        self.status = status
        reason = HTTPStatus(status).phrase
        head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n"
        head += f"connection: {'keep-alive' if self.keep else 'close'}\r\n\r\n"
        self.writer.write(head.encode() + data)
        await self.writer.drain()

    async def json(self, status: int, value: object) -> None:
        """A JSON body."""
        await self.send(status, json.dumps(value).encode(), "application/json")

    async def begin(self) -> None:
        """The head of a stream of events."""
        self.status = 200
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n"
        self.writer.write((head + f"connection: {'keep-alive' if self.keep else 'close'}\r\n\r\n").encode())
        await self.writer.drain()

    async def event(self, value: object) -> None:
        """One event of a stream."""
        data = f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def end(self) -> None:
        """The end of a stream."""
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


def choice(index: int, said: dict[str, Any], reason: str | None) -> dict[str, Any]:
    """One answer, or what is new of it."""
    return {"index": index, **said, "logprobs": None, "finish_reason": reason}


def piece(number: int) -> str:
    """The text of token `number`."""
    return ("" if number == 0 else " ") + WORDS[number % len(WORDS)]


ROUTES = dict.fromkeys(("/health", "/ping", "/metrics", "/version", "/v1/models"), "GET")
ROUTES |= dict.fromkeys(("/v1/chat/completions", "/v1/completions"), "POST")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--model", default="simulated", help="what /v1/models gives as root")
    p.add_argument("--served-model-name", help="name that requests ask for; default: the model")
    p.add_argument("--lora-modules", default="", help="names of adapters, with commas")
    p.add_argument("--host", default="0.0.0.0")
    p.add_argument("--port", type=int, default=8000)
    p.add_argument("--max-model-len", type=int, default=8192, help="tokens of a request, input + output")
    p.add_argument("--max-num-seqs", type=int, default=256, help="requests that run at once")
    p.add_argument(
        "--kv-cache-tokens", type=int, help="size of the KV cache; default: 16 requests of full length"
    )
    p.add_argument("--ttft-ms", type=float, default=50.0, help="from a request's turn to its first token")
    p.add_argument("--tpot-ms", type=float, default=10.0, help="per token after the first")
    p.add_argument("--startup-seconds", type=float, default=0.0, help="how long the port stays closed")
    p.add_argument("--shutdown-timeout", type=int, default=60, help="seconds for open requests after SIGTERM")
    return p


def main() -> None:
    """Start, serve, exit."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options = parser().parse_args()
    options.served_model_name = options.served_model_name or options.model
    options.adapters = [a for a in options.lora_modules.split(",") if a]
    options.kv_cache_tokens = options.kv_cache_tokens or 16 * options.max_model_len
    if min(options.max_model_len, options.max_num_seqs, options.kv_cache_tokens) < 1:
        parser().error("--max-model-len, --max-num-seqs and --kv-cache-tokens must be at least 1")

    async def serve() -> int:
        return await Server(options).run()

    sys.exit(asyncio.run(serve()))


if __name__ == "__main__":
    main()
