"""The outcome of an action."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """Data, an error or a cancellation: the first that applies of cancel, error, data.

    ``error`` counts as an error unless it is None, so ``Result(error="")`` is one.
    """

    data: Any = None
    error: Any = None
    cancel: bool = False

    def is_cancel(self) -> bool:
        """Whether the action asks to be recorded as cancelled."""
        return self.cancel

    def is_error(self) -> bool:
        """Whether the action failed."""
        return self.error is not None and not self.cancel

    def is_success(self) -> bool:
        """Whether the action succeeded."""
        return not self.is_error() and not self.is_cancel()

    def to_dict(self) -> dict[str, Any]:
        """The stored form: the data of a success, the error otherwise."""
        return {"result": self.data if self.is_success() else self.error}

    def cut_repr(self, length: int = 100) -> str:
        """A text for logs, its parts cut."""
        data, error = (_cut(repr(part), length) for part in (self.data, self.error))
        return f"Result [data={data}, error={error}, cancel={self.cancel}]"

    def __repr__(self) -> str:
        return f"Result [data={self.data!r}, error={self.error!r}, cancel={self.cancel}]"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "..."
