"""A stand-in for a vLLM server: the OpenAI API, vLLM's metrics and its drain, without a model. Standard library only.

Requests queue as in a real engine: at most --max-num-seqs run at once, and their tokens must fit into the KV cache.
Answers are made up; the time to the first token and per token after it are settings.
"""

import argparse
import asyncio
import bisect
import json
import math
import os
import signal
import sys
import time
import uuid
from collections import deque

WORDS = "this answer was made up by a simulator that loads no model and only keeps the time of one".split()
USUAL_TOKENS = 64  # length of an answer when the request names no limit
BODY_LIMIT = 64 * 2**20
SECONDS = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
TTFT = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560)
TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
SIZES = [m * 10**e for e in range(7) for m in (1, 2, 5)]


class Refused(Exception):
    """A request that gets an error, in the form that vLLM gives it."""

    def __init__(self, status, message, kind="BadRequestError", param=None):
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": status}}


class Gone(Exception):
    """The client closed the connection, or the drain ran out."""


class Histogram:
    def __init__(self, name, text, buckets):
        self.name, self.text, self.buckets = name, text, buckets
        self.counts, self.total = [0] * (len(buckets) + 1), 0.0

    def observe(self, value):
        self.counts[bisect.bisect_left(self.buckets, value)] += 1
        self.total += value

    def lines(self, labels):
        yield f"# HELP {self.name} {self.text}"
        yield f"# TYPE {self.name} histogram"
        seen = 0
        for bound, count in zip((*self.buckets, None), self.counts, strict=True):
            seen += count
            le = "+Inf" if bound is None else str(float(bound))
            yield f'{self.name}_bucket{{{labels},le="{le}"}} {float(seen)}'
        yield f"{self.name}_count{{{labels}}} {float(seen)}"
        yield f"{self.name}_sum{{{labels}}} {self.total}"


class Request:
    def __init__(self, prompt_tokens, output_tokens, reason, choices):
        self.prompt_tokens, self.output_tokens, self.reason, self.choices = prompt_tokens, output_tokens, reason, choices
        self.kv = prompt_tokens + output_tokens * choices
        self.arrived, self.admitted, self.made = time.monotonic(), asyncio.Event(), 0


class Engine:
    """The queue, the clock and the counters."""

    def __init__(self, options):
        self.options = options
        self.waiting, self.running, self.lora_seen = deque(), [], 0.0
        self.prompt_tokens = self.generation_tokens = 0
        self.finished = dict.fromkeys(("stop", "length", "abort", "error", "repetition"), 0)
        self.http = {}
        self.aborting = asyncio.Event()
        h = self.histograms = {}
        for key, text, buckets in (
            ("request_prompt_tokens", "Number of prefill tokens processed.", SIZES),
            ("request_generation_tokens", "Number of generation tokens processed.", SIZES),
            ("time_to_first_token_seconds", "Histogram of time to first token in seconds.", TTFT),
            ("inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", TOKEN),
            ("request_time_per_output_token_seconds", "Histogram of time_per_output_token_seconds per request.", TOKEN),
            ("e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", SECONDS),
            ("request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", SECONDS),
            ("request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.", SECONDS),
            ("request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", SECONDS),
            ("request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", SECONDS),
        ):
            h[key] = Histogram("vllm:" + key, text, buckets)

    def admit(self):
        free = self.options.kv_cache_tokens - sum(r.kv for r in self.running)
        while self.waiting and len(self.running) < self.options.max_num_seqs and self.waiting[0].kv <= free:
            request = self.waiting.popleft()
            self.running.append(request)
            free -= request.kv
            request.admitted.set()

    def used(self):
        return sum(r.prompt_tokens + r.made * r.choices for r in self.running)

    async def generate(self, request, client):
        """Yield the number of each token when it is due; raises Gone when the client leaves or the drain runs out."""
        self.waiting.append(request)
        reason = "abort"
        try:
            self.admit()
            await self.until(request.admitted.wait(), client)
            begun = last = time.monotonic()
            for number in range(request.output_tokens):
                await self.pause(self.options.tpot_ms / 1000 if number else self.options.ttft_ms / 1000, client)
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

    def done(self, request, begun, first, last):
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
            self.histograms["request_time_per_output_token_seconds"].observe((last - first) / (request.made - 1))

    async def until(self, thing, client):
        task = asyncio.ensure_future(thing)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=0.2)
                if not task.done() and (client.at_eof() or self.aborting.is_set()):
                    raise Gone
        finally:
            task.cancel()

    async def pause(self, seconds, client):
        if seconds > 0.2:
            await self.until(asyncio.sleep(seconds), client)
        else:
            await asyncio.sleep(seconds)
        if client.at_eof() or self.aborting.is_set():
            raise Gone

    def metrics(self):
        o = self.options
        labels = f'engine="0",model_name="{escape(o.served_model_name)}"'
        out = []

        def put(name, kind, text, rows):
            out.extend((f"# HELP vllm:{name} {text}", f"# TYPE vllm:{name} {kind}"))
            suffix = "_total" if kind == "counter" and not name.endswith("_total") else ""
            out.extend(f"vllm:{name}{suffix}{{{labels}{extra}}} {float(value)}" for extra, value in rows)

        waiting = len(self.waiting)
        put("num_requests_running", "gauge", "Number of requests in model execution batches.", [("", len(self.running))])
        put("num_requests_waiting", "gauge", "Number of requests waiting to be processed.", [("", waiting)])
        put(
            "num_requests_waiting_by_reason", "gauge", "Number of waiting requests by reason.",
            [(',reason="capacity"', waiting), (',reason="deferred"', 0)],
        )  # fmt: skip
        put("kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.", [("", self.used() / o.kv_cache_tokens)])
        put("prefix_cache_queries_total", "counter", "Prefix cache queries, in tokens.", [("", self.prompt_tokens)])
        put("prefix_cache_hits_total", "counter", "Prefix cache hits, in tokens.", [("", 0)])
        put("num_preemptions_total", "counter", "Cumulative number of preemption from the engine.", [("", 0)])
        put("prompt_tokens_total", "counter", "Number of prefill tokens processed.", [("", self.prompt_tokens)])
        put("generation_tokens_total", "counter", "Number of generation tokens processed.", [("", self.generation_tokens)])
        put(
            "request_success_total", "counter", "Count of successfully processed requests.",
            [(f',finished_reason="{r}"', n) for r, n in self.finished.items()],
        )  # fmt: skip
        for histogram in self.histograms.values():
            out.extend(histogram.lines(labels))
        info = {
            "block_size": 16, "cache_dtype": "auto", "enable_prefix_caching": True, "gpu_memory_utilization": 0.92,
            "kv_cache_max_concurrency": o.kv_cache_tokens / o.max_model_len, "kv_cache_size_tokens": o.kv_cache_tokens,
            "num_cpu_blocks": None, "num_gpu_blocks": o.kv_cache_tokens // 16,
        }  # fmt: skip
        out.extend(("# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig", "# TYPE vllm:cache_config_info gauge"))
        out.append('vllm:cache_config_info{engine="0",' + ",".join(f'{k}="{v}"' for k, v in info.items()) + "} 1.0")
        if self.lora_seen:
            put(
                "lora_requests_info", "gauge", "Running stats on lora requests.",
                [(f',max_lora="{len(o.adapters)}",running_lora_adapters="",waiting_lora_adapters=""', self.lora_seen)],
            )  # fmt: skip
        out.extend(("# HELP http_requests_total Total number of requests by method, status and handler.", "# TYPE http_requests_total counter"))
        for (method, handler, status), count in self.http.items():
            out.append(f'http_requests_total{{handler="{handler}",method="{method}",status="{status // 100}xx"}} {float(count)}')
        return "\n".join(out) + "\n"


def escape(text):
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def text_tokens(text):
    return math.ceil(len(text) / 4)


def integer(body, name, low):
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
        raise Refused(400, f"{name} must be at least {low}, got {value!r}.", param=name)
    return value


class Server:
    """HTTP/1.1 by hand: the handful of routes that clients, probes and Prometheus use."""

    def __init__(self, options):
        self.options, self.engine = options, Engine(options)
        self.draining, self.busy, self.idle = False, 0, asyncio.Event()
        self.keys = [k for k in os.environ.get("VLLM_API_KEY", "").split(",") if k]
        self.names = [options.served_model_name, *options.adapters]
        self.connections = set()

    async def connection(self, reader, writer):
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
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, Gone):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()

    async def exchange(self, head, reader, writer):
        first, *rest = head.rstrip("\r\n").split("\r\n")
        parts = first.split(" ")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in rest)}
        keep = headers.get("connection", "").lower() != "close" and parts[-1] == "HTTP/1.1"
        method, path = parts[0], (parts[1] if len(parts) == 3 else "/").partition("?")[0]
        reply = Reply(writer, keep, method == "HEAD")
        try:
            if len(parts) != 3:
                keep = reply.keep = False
                raise Refused(400, "Invalid HTTP request received.")
            body = await self.body(headers, reader, writer)
            await self.route(method, path, headers, body, reply, reader)
        except Refused as refused:
            if reply.status is None:
                await reply.json(refused.status, refused.body)
        key = (method, path if path in ROUTES else "none", reply.status or 499)
        self.engine.http[key] = self.engine.http.get(key, 0) + 1
        return reply.keep

    async def body(self, headers, reader, writer):
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            data = b""
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                if len(data) + size > BODY_LIMIT:
                    raise Gone
                data += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readuntil(b"\r\n")
            return data
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_LIMIT:
            raise Gone
        return await reader.readexactly(int(length))

    async def route(self, method, path, headers, body, reply, reader):
        if path not in ROUTES:
            await reply.json(404, {"detail": "Not Found"})
        elif method not in (ROUTES[path], "HEAD" if ROUTES[path] == "GET" else "POST"):
            await reply.json(405, {"detail": "Method Not Allowed"})
        elif path.startswith("/v1") and self.keys and headers.get("authorization", "").removeprefix("Bearer ") not in self.keys:
            await reply.json(401, {"error": "Unauthorized"})
        elif path in ("/health", "/ping"):
            await reply.send(200, b"", "text/plain")
        elif path == "/metrics":
            await reply.send(200, self.engine.metrics().encode(), "text/plain; version=0.0.4; charset=utf-8")
        elif path == "/version":
            await reply.json(200, {"version": "homeport-simulator"})
        elif path == "/load":
            await reply.json(200, {"server_load": len(self.engine.running) + len(self.engine.waiting)})
        elif path == "/v1/models":
            await reply.json(200, {"object": "list", "data": [self.card(n) for n in self.names]})
        else:
            await self.complete(path.endswith("chat/completions"), body, reply, reader)

    def card(self, name):
        base = name == self.options.served_model_name
        return {
            "id": name, "object": "model", "created": int(time.time()), "owned_by": "vllm",
            "root": self.options.model if base else name, "parent": None if base else self.options.served_model_name,
            "max_model_len": self.options.max_model_len if base else None, "permission": [],
        }  # fmt: skip

    async def complete(self, chat, data, reply, reader):
        if self.draining:  # what vLLM says to requests that come after SIGTERM
            raise Refused(500, "cannot schedule new futures after shutdown", "InternalServerError")
        try:
            body = json.loads(data)
        except ValueError as error:
            raise Refused(400, f"JSON decode error: {error}", "Bad Request") from error
        if not isinstance(body, dict):
            raise Refused(400, "Input should be a valid dictionary", "Bad Request")
        name = body.get("model") or self.options.served_model_name
        if name not in self.names:
            raise Refused(404, f"The model `{name}` does not exist.", "NotFoundError", "model")
        if name != self.options.served_model_name:
            self.engine.lora_seen = time.time()
        request = self.read(chat, body)
        shown = "chatcmpl-" if chat else "cmpl-"
        common = {"id": shown + uuid.uuid4().hex, "created": int(time.time()), "model": name}
        usage = {
            "prompt_tokens": request.prompt_tokens, "completion_tokens": request.output_tokens * request.choices,
            "total_tokens": request.prompt_tokens + request.output_tokens * request.choices,
        }  # fmt: skip
        if body.get("stream"):
            options = body.get("stream_options")
            wants = isinstance(options, dict) and options.get("include_usage")
            await self.stream(chat, request, common, usage if wants else None, reply, reader)
            return
        words = [piece(n) async for n in self.engine.generate(request, reader)]
        text = "".join(words)
        choices = []
        for index in range(request.choices):
            said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
            choices.append({"index": index, **said, "logprobs": None, "finish_reason": request.reason})
        await reply.json(200, {**common, "object": "chat.completion" if chat else "text_completion", "choices": choices, "usage": usage})

    def read(self, chat, body):
        limit, prompts = self.options.max_model_len, 1
        if chat:
            messages = body.get("messages")
            if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
                raise Refused(400, "messages: a list of at least one message is required", "Bad Request", "messages")
            prompt = sum(4 + text_tokens(m["content"] if isinstance(m.get("content"), str) else json.dumps(m.get("content"))) for m in messages)
        else:
            given = body.get("prompt")
            if not isinstance(given, str | list) or not given:
                raise Refused(400, "prompt: a text, a list of texts or of tokens is required", "Bad Request", "prompt")
            texts = [given] if isinstance(given, str) or isinstance(given[0], int) else given
            prompts = len(texts)
            prompt = max(1, sum(text_tokens(t) if isinstance(t, str) else len(t) for t in texts))
        asked = integer(body, "max_completion_tokens", 1) if chat else None
        asked = asked or integer(body, "max_tokens", 1) or (None if chat else 16)
        least = limit if body.get("ignore_eos") else integer(body, "min_tokens", 0) or 0
        if prompt >= limit or (asked and prompt + asked > limit):
            raise Refused(
                400,
                f"This model's maximum context length is {limit} tokens. However, you requested {asked or 1} output tokens and your "
                f"prompt contains at least {prompt} input tokens, for a total of at least {prompt + (asked or 1)} tokens. "
                "Please reduce the length of the input prompt or the number of requested output tokens.",
                param="input_tokens",
            )
        most = asked or limit - prompt
        output = min(most, max(USUAL_TOKENS, least))
        return Request(prompt, output, "length" if output == most else "stop", prompts * (integer(body, "n", 1) or 1))

    async def stream(self, chat, request, common, usage, reply, reader):
        await reply.begin(200, "text/event-stream; charset=utf-8")
        shape = {**common, "object": "chat.completion.chunk" if chat else "text_completion"}

        async def say(choice):
            await reply.event({**shape, "choices": [choice]})

        if chat:
            for index in range(request.choices):
                await say({"index": index, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None})
        async for number in self.engine.generate(request, reader):
            end = request.reason if number == request.output_tokens - 1 else None
            for index in range(request.choices):
                said = {"delta": {"content": piece(number)}} if chat else {"text": piece(number)}
                await say({"index": index, **said, "logprobs": None, "finish_reason": end})
        if usage:
            await reply.event({**shape, "choices": [], "usage": usage})
        await reply.event("[DONE]")
        await reply.end()

    async def run(self):
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:  # like an engine that loads: the port stays closed
            await asyncio.wait_for(stop.wait(), self.options.startup_seconds)
            return 0
        except TimeoutError:
            pass
        listener = await asyncio.start_server(self.connection, self.options.host, self.options.port, limit=2**16)
        print(f"simulator: {self.options.served_model_name} on port {self.options.port}", flush=True)
        await stop.wait()
        self.draining = True
        print(f"simulator: draining {self.busy} requests for at most {self.options.shutdown_timeout} s", flush=True)
        lost = 0
        try:
            while self.busy:
                self.idle.clear()
                async with asyncio.timeout(max(0, self.options.shutdown_timeout)):
                    await self.idle.wait()
        except TimeoutError:
            lost = self.busy
            self.engine.aborting.set()
            await asyncio.sleep(0.3)
        listener.close()
        for writer in list(self.connections):
            writer.close()
        print(f"simulator: stopped, {lost} requests lost", flush=True)
        return 1 if lost else 0


class Reply:
    def __init__(self, writer, keep, head_only):
        self.writer, self.keep, self.head_only, self.status = writer, keep, head_only, None

    async def send(self, status, data, kind):
        self.status = status
        reason = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}.get(status, "Error")
        head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n"
        head += f"connection: {'keep-alive' if self.keep else 'close'}\r\n\r\n"
        self.writer.write(head.encode() + (b"" if self.head_only else data))
        await self.writer.drain()

    async def json(self, status, value):
        await self.send(status, json.dumps(value).encode(), "application/json")

    async def begin(self, status, kind):
        self.status = status
        head = f"HTTP/1.1 {status} OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n"
        self.writer.write((head + f"connection: {'keep-alive' if self.keep else 'close'}\r\n\r\n").encode())
        await self.writer.drain()

    async def event(self, value):
        data = f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode()
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def end(self):
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


def piece(number):
    return ("" if number == 0 else " ") + WORDS[number % len(WORDS)]


ROUTES = dict.fromkeys(("/health", "/ping", "/metrics", "/version", "/load", "/v1/models"), "GET")
ROUTES |= dict.fromkeys(("/v1/chat/completions", "/v1/completions"), "POST")


def parser():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--model", default="simulated", help="what /v1/models gives as root")
    p.add_argument("--served-model-name", help="name that requests ask for; default: the model")
    p.add_argument("--lora-modules", default="", help="names of adapters, with commas")
    p.add_argument("--host", default="0.0.0.0")
    p.add_argument("--port", type=int, default=8000)
    p.add_argument("--max-model-len", type=int, default=8192, help="tokens of a request, input + output")
    p.add_argument("--max-num-seqs", type=int, default=256, help="requests that run at once")
    p.add_argument("--kv-cache-tokens", type=int, help="size of the KV cache; default: 16 requests of full length")
    p.add_argument("--ttft-ms", type=float, default=50.0, help="from a request's turn to its first token")
    p.add_argument("--tpot-ms", type=float, default=10.0, help="per token after the first")
    p.add_argument("--startup-seconds", type=float, default=0.0, help="how long the port stays closed")
    p.add_argument("--shutdown-timeout", type=int, default=60, help="seconds for open requests after SIGTERM")
    return p


def main():
    options = parser().parse_args()
    options.served_model_name = options.served_model_name or options.model
    options.adapters = [a for a in options.lora_modules.split(",") if a]
    options.kv_cache_tokens = options.kv_cache_tokens or 16 * options.max_model_len
    if min(options.max_model_len, options.max_num_seqs, options.kv_cache_tokens) < 1:
        parser().error("--max-model-len, --max-num-seqs and --kv-cache-tokens must be at least 1")

    async def serve():
        return await Server(options).run()

    sys.exit(asyncio.run(serve()))


if __name__ == "__main__":
    main()
