"""Seconds that bringing the weights takes: bytes over the narrowest path, by loader and by where they lie."""

from typing import NamedTuple

from homeport.sizing.startup_types import Constants, Situation, Traits

# How a loader reads: "default" maps one file after the other, "prefetch" reads ahead into the page cache in parallel,
# "streamer" reads in parallel but every rank reads the whole checkpoint, "sharded" reads each rank's part,
# "tensorizer" deserialises one stream, "image" copies a ready memory image.
FAMILIES = {
    "default": "default",
    "auto": "default",
    "transformers": "default",
    "safetensors": "default",
    "runai_streamer": "streamer",
    "runai_streamer_sharded": "sharded",
    "runai_streamer_distributed": "sharded",
    "sharded_state": "sharded",
    "fastsafetensors": "sharded",
    "tensorizer": "tensorizer",
    "serverlessllm": "image",
    "safetensors_prefetch": "prefetch",
    "prefetch": "prefetch",
    "multithread": "prefetch",
}
_BLOCK = ("pvc", "nfs", "ssd", "hub", "unknown")


class Load(NamedTuple):
    """Seconds from checkpoint to GPU (the slowest rank), the width's name, and the formula with its numbers."""

    seconds: float
    width: str
    formula: str


def family(loader: str) -> str:
    """How a loader reads; one that is not known reads like the default."""
    return FAMILIES.get(loader) or ("prefetch" if loader.startswith("multithread") else "default")


def load(t: Traits, s: Situation, c: Constants) -> Load:
    """Seconds that the ranks take to read their weights and copy them to the GPU."""
    size, ranks = t.checkpoint_gib, s.tensor_parallel_size * s.pipeline_parallel_size
    kind = family(s.loader)
    cached, remote = s.storage == "page_cache", s.storage == "object_store"
    if kind == "default":
        return _default(size, s, c)
    if kind == "prefetch":
        rate = c.prefetch_cache_gib_s if cached else _capped(c.prefetch_nvme_gib_s, s)
        seconds = size / rate * ranks**c.prefetch_ranks
        return Load(
            seconds, "stream", f"{size:.2f} GiB / {rate:.2f} GiB/s x {ranks} ranks^{c.prefetch_ranks:.2f}"
        )
    part = size if kind == "streamer" else size / ranks
    if kind == "image":
        rate = c.image_cache_gib_s if cached else c.image_disk_gib_s
    elif kind == "sharded":
        rate = c.sharded_cache_gib_s if cached else c.sharded_object_gib_s if remote else c.sharded_disk_gib_s
    elif kind == "tensorizer":
        rate = (
            c.tensorizer_cache_gib_s
            if cached
            else c.tensorizer_object_gib_s
            if remote
            else c.tensorizer_block_gib_s
        )
    elif cached or remote:
        rate = c.streamer_cache_gib_s if cached else c.streamer_object_gib_s
    else:
        rate = c.streamer_block_gib_s if s.storage in _BLOCK else c.streamer_disk_gib_s
    if not cached:
        rate = _capped(rate, s)
    return Load(part / rate, "stream", f"{part:.2f} GiB a rank / {rate:.2f} GiB/s")


def _capped(rate: float, s: Situation) -> float:
    """A parallel reader's rate: the storage's own where it is known."""
    return s.storage_gib_s or rate


def _default(size: float, s: Situation, c: Constants) -> Load:
    """Memory-mapped files: pages are read once for all ranks, then copied.

    Tensor parallel ranks slice the same tensors, so the host copies as long for one as for eight of them (measured:
    7 GiB/s of checkpoint with one rank as with four and eight); pipeline stages copy different layers side by side.
    """
    stages = s.pipeline_parallel_size
    copy_s = size / stages / c.copy_gib_s
    copy = f"{size:.2f} GiB / " + (f"{stages} stages / " if stages > 1 else "") + f"{c.copy_gib_s:.2f} GiB/s"
    if s.storage == "page_cache":
        return Load(copy_s, "page_cache", copy)
    # Weights of an object store are on a disk when a loader that knows only files reads them.
    kind = "hub" if s.storage == "object_store" else s.storage
    rate = s.storage_gib_s or {
        "nvme": c.read_nvme_gib_s,
        "ssd": c.read_ssd_gib_s,
        "pvc": c.read_pvc_gib_s,
        "nfs": c.read_nfs_gib_s,
        "hub": c.read_hub_gib_s,
    }.get(kind, c.read_unknown_gib_s)
    return Load(copy_s + size / rate, kind, f"{size:.2f} GiB / {rate:.2f} GiB/s read + {copy} copied")


def download(t: Traits, s: Situation, c: Constants) -> float:
    """Seconds that this start spends fetching the checkpoint before it loads: 0 where the weights lie there already."""
    if s.download_s is not None:
        return s.download_s
    if s.storage == "hub":
        return t.checkpoint_gib / (s.network_gib_s or c.download_hub_gib_s)
    if s.storage == "object_store" and family(s.loader) == "default":
        return t.checkpoint_gib / (s.network_gib_s or c.download_object_gib_s)
    return 0.0
