"""What all parts of a spec share."""

from typing import Annotated

from msgspec import Meta, Struct

Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1, le=4096)]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every part of a spec shares: unknown fields are refused."""
