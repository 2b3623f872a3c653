"""Secrets of ad-hoc actions: which of their own parameters lead to a secret one of their base."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mistral.actions.secret_inputs import Hidden, hidden_texts, masked, without
from mistral.lang import AdHocActionSpec
from mistral.utils import json


def shown_input(
    adhoc: Sequence[tuple[str, AdHocActionSpec]],
    own: Mapping[str, Any],
    base: Mapping[str, Any],
    hidden: Hidden,
) -> Mapping[str, Any]:
    """The input of an ad-hoc action without what becomes a secret of its base.

    That is each parameter that the expression for a secret mentions, and each value that is found
    in a secret.

    :param adhoc: the definitions, outermost first.
    :param own: the input of the outermost.
    :param base: the input of the action they stand on, and ``hidden`` that without its secrets.
    """
    if not hidden.secrets:
        return own
    *outer, (_name, innermost) = adhoc
    mentioned = _mentioned(innermost, _sources(innermost, base, hidden.shown))
    for _name, spec in reversed(outer):
        raw = {**(spec.base_input or {}), **(spec.base_params or {})}
        mentioned = _mentioned(spec, (raw[name] for name in mentioned if name in raw))
    texts = frozenset(hidden_texts(base, hidden.shown))
    return {
        name: masked(value) if name in mentioned else without(value, texts)
        for name, value in own.items()
    }


def _sources(
    spec: AdHocActionSpec, base: Mapping[str, Any], shown: Mapping[str, Any]
) -> Iterator[Any]:
    raw = {**(spec.base_input or {}), **(spec.base_params or {})}
    for name, value in base.items():
        if name in raw:
            yield from _behind(raw[name], value, shown.get(name))


def _behind(raw: Any, clear: Any, shown: Any) -> Iterator[Any]:
    """What the definition says where something is hidden."""
    if clear is shown:
        return
    if all(isinstance(each, Mapping) for each in (raw, clear, shown)):
        for name, part in clear.items():
            if name in raw:
                yield from _behind(raw[name], part, shown.get(name))
    else:
        yield raw


def _mentioned(spec: AdHocActionSpec, sources: Iterable[Any]) -> set[str]:
    text = "\n".join(json.dumps(source) for source in sources)
    return {p.name for p in spec.input if re.search(rf"(?<!\w){re.escape(p.name)}(?!\w)", text)}
