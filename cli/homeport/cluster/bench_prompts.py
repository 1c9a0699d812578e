"""The requests that a benchmark sends: texts of the wanted number of tokens, no two alike.

A tokenizer is not needed: the endpoint itself says how many tokens two samples have, and words are given accordingly.
"""

import math
import random
from statistics import NormalDist

from homeport.cluster.bench_types import Endpoint, Prompt
from homeport.planning.workload import total_tokens_p99
from homeport.spec.models import ModelSpec

BLOCK = 20
"""Requests over which the lengths are spread evenly: so many give the workload's mean."""
WORDS = [
    "time",
    "year",
    "people",
    "way",
    "day",
    "thing",
    "world",
    "life",
    "hand",
    "part",
    "child",
    "eye",
    "woman",
    "place",
    "work",
    "week",
    "case",
    "point",
    "company",
    "number",
    "group",
    "problem",
    "fact",
    "right",
    "study",
    "book",
    "word",
    "business",
    "issue",
    "side",
    "kind",
    "head",
    "house",
    "service",
    "friend",
    "father",
    "power",
    "hour",
    "game",
    "line",
    "end",
    "member",
    "law",
    "car",
    "city",
    "community",
    "name",
    "president",
    "team",
    "minute",
    "idea",
    "body",
    "back",
    "parent",
    "face",
    "level",
    "office",
    "door",
    "health",
    "person",
    "art",
    "war",
    "history",
    "party",
    "result",
    "change",
    "morning",
    "reason",
    "research",
    "girl",
    "guy",
    "moment",
    "air",
    "teacher",
    "force",
]


def text(words: int, source: random.Random) -> str:
    """A text of so many words, drawn from `source`: two texts hardly ever begin alike, so no prefix cache helps."""
    return " ".join(source.choices(WORDS, k=max(words, 1)))


def words_for(tokens: float, endpoint: Endpoint) -> int:
    """Words of a prompt that the endpoint counts as `tokens`."""
    return max(1, round((tokens - endpoint.tokens_per_prompt) / endpoint.tokens_per_word))


def factors(count: int, p99_to_mean: float, source: random.Random) -> list[float]:
    """Lengths relative to the mean of 1: a log-normal distribution with the given 99th percentile.

    Each block of 20 holds the middles of 20 equally likely slices in random order, scaled to a mean of 1. A percentile
    beyond exp(z^2 / 2) of the mean (15 times) can't be had of a log-normal distribution: the widest one stands for it.
    """
    z = NormalDist().inv_cdf(0.99)
    sigma = z - math.sqrt(max(z * z - 2 * math.log(max(p99_to_mean, 1.0)), 0.0))
    slices = [
        math.exp(sigma * NormalDist().inv_cdf((i + 0.5) / BLOCK) - sigma * sigma / 2) for i in range(BLOCK)
    ]
    mean = sum(slices) / BLOCK
    found: list[float] = []
    while len(found) < count:
        # A long one with a short one, so that also a few requests are near the mean.
        pairs = [[slices[i] / mean, slices[-1 - i] / mean] for i in range(BLOCK // 2)]
        source.shuffle(pairs)
        for pair in pairs:
            source.shuffle(pair)
            found += pair
    return found[:count]


def prompts(spec: ModelSpec, endpoint: Endpoint, count: int, seed: int) -> list[Prompt]:
    """`count` requests with the workload's mean lengths and 99th percentile, none longer than the endpoint takes."""
    source = random.Random(seed)
    load = spec.workload
    mean = load.input_tokens + load.output_tokens
    return [
        _prompt(load.input_tokens * factor, load.output_tokens * factor, endpoint, source)
        for factor in factors(count, total_tokens_p99(spec) / mean, source)
    ]


def replayed(requests: list[tuple[float, float, float]], endpoint: Endpoint, seed: int) -> list[Prompt]:
    """The requests of a trace, (s from the start, input tokens, output tokens), as prompts."""
    import msgspec

    source = random.Random(seed)
    return [
        msgspec.structs.replace(_prompt(asked, answered, endpoint, source), at=at)
        for at, asked, answered in requests
    ]


def _prompt(asked: float, answered: float, endpoint: Endpoint, source: random.Random) -> Prompt:
    output = max(round(answered), 1)
    if endpoint.max_model_len is not None:
        output = min(output, max(endpoint.max_model_len // 2, 1))
        # Words differ in their tokens: a request near the limit would now and then be refused.
        asked = min(asked, (endpoint.max_model_len - output) * 0.9)
    return Prompt(text=text(words_for(asked, endpoint), source), output_tokens=output)
