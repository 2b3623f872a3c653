"""How large what decisions make may become, and how much one transaction makes."""

from __future__ import annotations

import dataclasses

from mistral.workflow.bounds import MEBIBYTE, Bounds
from mistral.workflow.versions import ON, Versioning

ROWS_OF_CHILD = 4
"""A sub-workflow execution costs as much as so many tasks and actions."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Sizes in KiB (negative: none), texts' lengths, and bounds.

    ``rows_at_once`` is how many tasks and actions one transaction makes, ``items_at_once`` how many
    items of one task it starts, ``bytes_at_once`` how many bytes of large values it makes
    (negative: any number): what is beyond waits for the next one, so that others have a turn.
    ``bytes_loaded`` is how many an expression may ask for together (negative: any number).
    """

    field_size_kb: int = 1024
    state_info_chars: int = 65500
    merge_strategy: str = "replace"
    versioning: Versioning = ON
    bounds: Bounds = Bounds()
    rows_at_once: int = 500
    items_at_once: int = 50
    bytes_at_once: int = 4 * MEBIBYTE
    bytes_loaded: int = 256 * MEBIBYTE

    def is_much(self, size: int) -> bool:
        """Whether a transaction has made as many bytes as one should."""
        return 0 <= self.bytes_at_once <= size
