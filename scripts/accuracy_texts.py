"""What the accuracy page says besides its figures: how to read them, and why set-ups are off."""

INTRODUCTION = """# Accuracy

How close homeport's predictions come to measured engines. This page is made by `scripts/accuracy.py`; a test makes it
again and fails when a figure has become worse.

**Left out** means: the figures behind a prediction were fitted without any record of its base model (all sizes of
checkpoint, all precisions of one architecture and size), or without any record of its GPU. The error is the absolute
relative error, |predicted / measured − 1|; n counts records. The bars are the project's own. In the tables below, a
cell is the median (n, and the 90th percentile where ten or more were measured), models left out.

The measurements are public: logs, benchmark pages and issues, each record with its address in `tests/data`. They are
not evenly spread: most start-ups and memory figures are of vLLM on Hopper cards, so a median over records is above
all about those. The tables by GPU and by version say how it is elsewhere."""
MEMORY = """Of the fullest GPU, at the engine's own settings. A record is predicted without its base model and without
its GPU (the card that most records are of cannot be left out)."""
THROUGHPUT = """Over all loads of all engines, from one request at a time to saturation. Intervals are quantiles of the
left-out residuals. Time to first token has no bar: where requests wait, it is a queue's length, and whether a source
counts the wait is not always stated. The ten worst are of output tokens/s and time per output token."""
STARTUP = """Nine folds of whole base models (or of whole GPUs). The interval's width was chosen on the same left-out
starts that its two shares are counted on. The clocks differ by source: some begin with the first log line of the
API server, some are of an engine without a server. Loading counts where the kind of storage is known; its rate
hardly ever is: the same network volume was measured between 0.7 and 6.9 GiB/s. What would help most: the storage's
rate (`--storage-gib-s`), the network's (`--network-gib-s`), the engine's version, and whether the caches were warm.
With the GPU left out, vLLM 0.19 is left out with the H100 too: nothing newer than 0.11 is then known."""

# Why set-ups are off, where their own figures tell: model, engine, GPU.
SETUPS = {
    ("Qwen/Qwen3-32B", "trtllm 1.3.0rc5", "GB200-192GB"): (
        "888,000 prompt tokens a second are more than two cards can compute: cached prefixes or several replicas, "
        "which the source does not state"
    ),
    ("Qwen/Qwen3-32B", "trtllm 1.3.0rc1", "GB200-192GB"): (
        "a token takes twenty times as long as reading the weights does; what slowed these runs is not stated"
    ),
    ("openai/gpt-oss-20b", "sglang 0.5.4.post2", "A100-SXM4-80GB"): (
        "vLLM reaches 4,620 to 5,187 tokens/s on the same card: likely this engine's kernels for MXFP4 on a card "
        "without FP4"
    ),
    ("meta-llama/Llama-3.1-405B-Instruct-FP8", "vllm 0.6", "MI300X-192GB"): (
        "likely early FP8 kernels for this card: no other version of the engine was measured on it"
    ),
}
# What is known of a source that bears on its runs.
SOURCES = {
    "gpustack_perf_lab": "all requests were sent at once: TTFT is queueing, start and tail of the run count",
    "aic_silicon_sample": "repeated runs of one setting differ by up to 130 % in this source",
    "dstack_h100_vs_mi300x": "output tokens are computed from total tokens",
    "trtllm_v0.9_latency": "a table of the engine's vendor; kernels and flags are not stated",
    "trtllm_v0.9": "a table of the engine's vendor; the batch that ran is not stated",
    "trtllm_v0.17": "a table of the engine's vendor; the batch that ran is not stated",
    "trtllm_v1.0": "a table of the engine's vendor; the batch that ran is not stated",
}
