"""Every way to run one replica that the target, the engine and the spec allow."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from homeport.catalog.architecture_types import Architecture
from homeport.catalog.types import Gpu
from homeport.engines.requests import on_gpus
from homeport.engines.types import Release
from homeport.planning.hardware import Offer, place, with_room
from homeport.planning.precision import Precision
from homeport.planning.room import Refused
from homeport.sizing.types import Settings
from homeport.spec.models import ModelSpec

if TYPE_CHECKING:
    from homeport.planning.feedback import Correction

MOST_NODES = 4
"""Most nodes that one replica may span without being asked for by parallel sizes."""


class Question(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One model of a spec with everything resolved that does not depend on the hardware.

    `gpus` are those the spec allows, with their offers; `precisions` what is asked for and, where `explore`, what else
    there is to compare with. `correct` says what measured runs know of a candidate (None: there are no measurements).
    """

    spec: ModelSpec
    architecture: Architecture
    release: Release
    max_model_len: int
    kv_cache_dtype: str
    peak_requests_per_s: float
    offers: dict[str, tuple[Offer, ...]]
    wanted_precision: str
    explore: bool
    correct: "Callable[[Candidate], Correction] | None" = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One replica on one kind of GPU. `floor` is what one replica costs a month: no total can be lower.

    `offers` have room for its pods; `refused` are nodes that lack it. `homeless` says that only such nodes have enough GPUs.
    """

    gpu: Gpu
    offers: tuple[Offer, ...]
    refused: tuple[Refused, ...] = ()
    homeless: bool = False
    precision: Precision
    settings: Settings
    alternative: bool
    floor: Decimal | None

    @property
    def gpus_per_replica(self) -> int:
        """Tensor parallel size x pipeline parallel size."""
        return self.settings.tensor_parallel_size * self.settings.pipeline_parallel_size


Shapes = Callable[[Question, set[int]], Iterator[tuple[int, int, int]]]


def settings(question: Question, precision: Precision, tp: int, pp: int, nodes: int) -> Settings:
    """The settings of one replica, as the sizing reads them."""
    spec = question.spec
    fraction = spec.gpu_memory_utilization
    return Settings(
        engine=question.release.engine,
        engine_version=question.release.version,
        tensor_parallel_size=tp,
        pipeline_parallel_size=pp,
        nodes=nodes,
        weight_dtype=precision.weight_dtype,
        quantization=precision.quantization,
        kv_cache_dtype=question.kv_cache_dtype,
        gpu_memory_utilization=question.release.default_memory_fraction if fraction is None else fraction,
        max_model_len=question.max_model_len,
        max_num_batched_tokens=spec.max_num_batched_tokens,
        max_num_seqs=spec.max_num_seqs,
        adapters=len(spec.adapters),
        adapter_rank=max((a.rank for a in spec.adapters), default=0),
    )


def shapes(question: Question, node_sizes: set[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (tensor parallel size, pipeline parallel size, nodes) that nodes of these sizes can hold.

    Tensor parallelism stays within a node. A replica of several nodes takes whole ones of the largest size and runs
    one pipeline stage on each. Within a node pipeline stages stand in only where tensor parallelism does not divide the model
    (docs/explanation/numbers.md). Parallel sizes that the spec names are taken as they are.
    """
    from homeport.sizing.memory import valid_tensor_parallel_sizes

    spec = question.spec
    largest = max(node_sizes)
    if spec.tensor_parallel_size or spec.pipeline_parallel_size:
        yield from _named_shapes(spec, node_sizes)
        return
    divides = set(valid_tensor_parallel_sizes(question.architecture, question.release.engine))
    for count in (1, 2, 4, 8, 16):
        if count > largest:
            break
        tp = count
        while tp not in divides:
            tp //= 2
        yield tp, count // tp, 1
    if largest in divides:
        for nodes in range(2, min(MOST_NODES, question.architecture.layers) + 1):
            yield largest, nodes, nodes


def stages(question: Question, node_sizes: set[int]) -> Iterator[tuple[int, int, int]]:
    """Yield pipelines within a node that `shapes` leaves out, since few measurements speak of them: to compare with."""
    from homeport.sizing.memory import valid_tensor_parallel_sizes

    spec = question.spec
    if spec.tensor_parallel_size or spec.pipeline_parallel_size:
        return
    known = set(shapes(question, node_sizes))
    divides = valid_tensor_parallel_sizes(question.architecture, question.release.engine)
    for tp in (1, 2, 4, 8):
        for pp in (2, 4, 8):
            fits = tp in divides and tp * pp <= max(node_sizes) and pp <= question.architecture.layers
            if fits and (tp, pp, 1) not in known:
                yield tp, pp, 1


def _named_shapes(spec: ModelSpec, node_sizes: set[int]) -> Iterator[tuple[int, int, int]]:
    tps = [spec.tensor_parallel_size] if spec.tensor_parallel_size else [1, 2, 4, 8]
    pps = [spec.pipeline_parallel_size] if spec.pipeline_parallel_size else [1]
    largest = max(node_sizes)
    for tp in tps:
        for pp in pps:
            if tp * pp <= largest:
                yield tp, pp, 1
            else:
                for size in sorted(node_sizes):
                    if tp * pp % size == 0 and (size % tp == 0 or tp % size == 0):
                        yield tp, pp, tp * pp // size


def candidates(
    question: Question, precisions: dict[str, list[tuple[Precision, bool]]], sizes: Shapes = shapes
) -> list[Candidate]:
    """List every candidate, replicas within a node first, then the lowest `floor`; those without a price last.

    `precisions` gives, for each GPU id, the precisions to look at and whether each is an alternative that nobody asked
    for (compared, never chosen); `sizes` gives the parallel sizes.
    """
    found: list[Candidate] = []
    shapes_of: dict[tuple[int, ...], list[tuple[int, int, int]]] = {}
    for gpu_id, rows in question.offers.items():
        held = tuple(sorted({offer.gpus for offer in rows}))
        if held not in shapes_of:
            shapes_of[held] = list(dict.fromkeys(sizes(question, set(held))))
        for tp, pp, nodes in shapes_of[held]:
            one = on_gpus(question.release.engine, tp * pp // nodes)
            roomy, refused = with_room(rows, tp * pp, nodes, one)
            placed = place(roomy, tp * pp, nodes, 1)
            if placed is None and not refused:
                continue
            for precision, alternative in precisions[gpu_id]:
                found.append(
                    Candidate(
                        gpu=rows[0].gpu,
                        offers=roomy,
                        refused=refused,
                        homeless=placed is None,
                        precision=precision,
                        settings=settings(question, precision, tp, pp, nodes),
                        alternative=alternative,
                        floor=placed.usd_per_month if placed else None,
                    )
                )
    found.sort(
        key=lambda c: (
            c.settings.nodes > 1,
            c.floor is None,
            c.floor or Decimal(0),
            c.gpus_per_replica,
            c.gpu.id,
        )
    )
    return found
