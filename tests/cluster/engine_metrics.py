"""What the engines' /metrics say under a load of our choosing, and a server of it: stand-ins for replicas.

vLLM's text is one that a real vLLM 0.32.0 served, with the load written into it. SGLang's, TGI's and TensorRT-LLM's are
written after their sources: names and labels of docs/reference/targets-and-engines.md.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from msgspec import Struct

RECORDED = Path(__file__).parents[1] / "engines" / "data" / "vllm-0.32.0-metrics.txt"
VLLM = ("vllm", "cpu", "simulator")


class Load(Struct, frozen=True, kw_only=True):
    """What one replica, or one data-parallel rank of it, has to do. `served` counts answered requests."""

    running: int = 0
    waiting: int = 0
    kv_cache: float = 0.0
    served: int = 0


def text(engine: str, model: str, *ranks: Load) -> str:
    """The metrics of one replica with data-parallel ranks of these loads; no rank: before the first request."""
    if engine in VLLM:
        return _vllm(model, ranks or (Load(),))
    if engine == "sglang":
        return _sglang(model, ranks)
    return {"tgi": _tgi, "trtllm": _trtllm}[engine](ranks[0] if ranks else None)


def _vllm(model: str, ranks: tuple[Load, ...]) -> str:
    """The recorded text; each data-parallel rank says the same series with its own number."""
    lines = []
    for line in RECORDED.read_text("utf-8").replace('model_name="tiny"', f'model_name="{model}"').split("\n"):
        if 'engine="0"' not in line:
            lines.append(line)
            continue
        for number, load in enumerate(ranks):
            one = line.replace('engine="0"', f'engine="{number}"')
            for name, value in (
                ("num_requests_running", load.running),
                ("num_requests_waiting", load.waiting),
                ("kv_cache_usage_perc", load.kv_cache),
            ):
                one = re.sub(rf"^(vllm:{name}{{.*}}) .*$", rf"\1 {float(value)}", one)
            lines.append(one)
    return "\n".join(lines)


def _sglang(model: str, ranks: tuple[Load, ...]) -> str:
    """Four tensor-parallel ranks, of which each says what its data-parallel rank has; nothing before the first request."""
    lines = []
    for name, field in (
        ("num_running_reqs", "running"),
        ("num_queue_reqs", "waiting"),
        ("token_usage", "kv_cache"),
    ):
        lines.append(f"# TYPE sglang:{name} gauge")
        for dp_rank, load in enumerate(ranks):
            for tp_rank in range(4):
                labels = (
                    f'engine_type="unified",model_name="{model}",tp_rank="{tp_rank}",pp_rank="0",moe_ep_rank="0"'
                    + (f',dp_rank="{dp_rank}"' if len(ranks) > 1 else "")
                )
                lines.append(f"sglang:{name}{{{labels}}} {float(getattr(load, field))}")
    return "\n".join(lines) + "\n"


def _tgi(load: Load | None) -> str:
    """No labels at all, and no series before the first request."""
    if load is None:
        return "# nothing yet\n"
    return (
        f"# TYPE tgi_queue_size gauge\ntgi_queue_size {load.waiting}\n"
        f"# TYPE tgi_batch_current_size gauge\ntgi_batch_current_size {load.running}\n"
        f"# TYPE tgi_request_count counter\ntgi_request_count {load.served}\n"
    )


def _trtllm(load: Load | None) -> str:
    """TensorRT-LLM 1.2: no queue, a counter of answered requests by reason, and labels that say nothing."""
    if load is None:
        return "# nothing yet\n"
    labels = 'model_name="undefined",engine_type="undefined"'
    return (
        "# TYPE request_success counter\n"
        f'request_success_total{{{labels},finished_reason="stop"}} {load.served}\n'
        f'request_success_total{{{labels},finished_reason="length"}} 0\n'
    )


class Endpoints:
    """An HTTP server on loopback whose paths are replicas; a path without a text answers 404."""

    def __init__(self, port: int, texts: dict[str, str]) -> None:
        """Serve `texts` by path on a port; they may change at any time."""
        self.port = port
        self.texts = texts


@contextmanager
def endpoints(texts: Mapping[str, str]) -> Iterator[Endpoints]:
    """Serve texts by path on a free port of loopback."""
    served = dict(texts)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = served.get(self.path)
            body = (found or "").encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Endpoints(server.server_address[1], served)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
