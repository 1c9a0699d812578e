"""A file of prices: read with its mistakes named, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from homeport.catalog.gpus import gpus
from homeport.catalog.names import DATA
from homeport.catalog.prices import CLOUDS
from homeport.catalog.regions import region, regions
from homeport.catalog.types import Instance, PriceBook
from homeport.errors import HomeportError, NotFoundError
from homeport.text import nearest

SCHEMA_VERSION = 1


class PriceFileError(HomeportError):
    """A file of prices that cannot be read or written."""


def read_prices(path: Path) -> PriceBook:
    """Read a file of prices. Raises PriceFileError."""
    try:
        book = msgspec.json.decode(path.read_bytes(), type=PriceBook)
    except OSError as error:
        raise PriceFileError(f"'{path}' cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PriceFileError(f"'{path}' is no file of prices: {error}") from None
    if book.schema_version != SCHEMA_VERSION:
        raise PriceFileError(
            f"'{path}' has schema_version {book.schema_version}; this homeport reads {SCHEMA_VERSION}"
        )
    for row in book.instances:
        try:
            _known(row)
        except NotFoundError as error:
            raise PriceFileError(f"'{path}': {row.instance_type}: {error}") from None
    return book


def _known(row: Instance) -> None:
    """Raise NotFoundError where the cloud, the region or the GPU of an instance is none that the catalog has."""
    if row.cloud not in CLOUDS:
        raise NotFoundError("cloud", row.cloud, nearest(row.cloud, CLOUDS))
    if row.gpu not in gpus():
        raise NotFoundError("GPU", row.gpu, nearest(row.gpu, gpus()))
    if row.region is not None and regions(row.cloud):
        region(row.cloud, row.region)


def write_prices(path: Path, book: PriceBook) -> None:
    """Write a file of prices, atomically; an existing one is replaced, any other file is left alone.

    Raises PriceFileError, also for a place among the package's own data, which is never changed.
    """
    where = path.resolve()
    if where.is_relative_to(DATA.resolve()):
        raise PriceFileError(f"'{path}' lies in the package's own data, which is never changed")
    if path.exists():
        read_prices(path)
    text = msgspec.json.format(msgspec.json.encode(book), indent=1) + b"\n"
    scratch = where.with_name(f".{where.name}.{os.getpid()}.tmp")
    try:
        scratch.write_bytes(text)
        scratch.replace(where)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise PriceFileError(f"'{path}' cannot be written: {error.strerror}") from None
