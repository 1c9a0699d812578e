"""Models, GPUs, priced instances and API prices: data with a source and a date on every row."""

from homeport.catalog.api_names import api_id, api_price
from homeport.catalog.names import AmbiguousNameError
from homeport.catalog.regions import nearest_region
from homeport.catalog.tables import (
    CLOUDS,
    ConfigSource,
    api_prices,
    benchmarks,
    config,
    config_ids,
    config_source,
    gpu,
    gpu_families,
    gpus,
    gpus_matching,
    instances,
    model,
    models,
)

__all__ = [
    "CLOUDS",
    "AmbiguousNameError",
    "ConfigSource",
    "api_id",
    "api_price",
    "api_prices",
    "benchmarks",
    "config",
    "config_ids",
    "config_source",
    "gpu",
    "gpu_families",
    "gpus",
    "gpus_matching",
    "instances",
    "model",
    "models",
    "nearest_region",
]
