"""Declares parameters of actions whose values are nobody else's business.

.. code-block:: python

    from typing import Annotated

    class Deploy(actions.Action):
        def __init__(
            self,
            host: str,
            pin: actions.SecretStr,
            vault: Annotated[dict, actions.Secret()],
            headers: Annotated[dict, actions.Secret(by_name=True)],
        ) -> None:
            ...

The action gets such values as they are; the service stores them encrypted and shows ``***``.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

_NAMED = re.compile(r"\bSecret(Str)?\b")


@dataclasses.dataclass(frozen=True)
class Secret:
    """Marks a parameter as secret, in its annotation: ``Annotated[..., Secret()]``.

    :param by_name: only those parts of the value whose names say that they are secret, such as
        ``password``, ``token`` or ``Authorization``; the rest is shown.
    """

    by_name: bool = False


SecretStr = Annotated[str, Secret()]
"""A text that is secret."""


def secret_parameters(function: Callable[..., Any]) -> Mapping[str, Secret]:
    """The parameters of a function that are marked, with their marks."""
    try:
        annotations = inspect.get_annotations(function, eval_str=True)
    # names that only type checkers import, and whatever else an author's annotation may raise
    except Exception:  # noqa: BLE001
        annotations = inspect.get_annotations(function)
    found = {name: _mark(annotation) for name, annotation in annotations.items()}
    return {name: mark for name, mark in found.items() if mark is not None}


def _mark(annotation: Any) -> Secret | None:
    if isinstance(annotation, str):
        # it can't be evaluated: rather too much is hidden than too little
        return Secret() if _NAMED.search(annotation) else None
    if isinstance(annotation, Secret):
        return annotation
    if annotation is Secret:
        return Secret()
    parts = [*typing.get_args(annotation), *getattr(annotation, "__metadata__", ())]
    return next((mark for mark in map(_mark, parts) if mark is not None), None)
