"""What a service and its supervisor know of each other (``mistral.cmd.supervisor``).

Imported by the supervisor: only what costs no memory is imported here.
"""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "MISTRAL_SUPERVISOR"
"""Names the file descriptor through which a service says its last words."""

ENDED: Final = b"ended"
"""It ends because it was told to, or because it can't run: it is not to be started again."""


def is_supervised() -> bool:
    """Whether a supervisor listens."""
    return VARIABLE in os.environ


def say_goodbye() -> None:
    """This process ends in order."""
    if is_supervised():
        os.write(int(os.environ[VARIABLE]), ENDED)
