"""The body of a request: one JSON object of context, method, arguments and whether it is a cast."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mistral.utils import json


@dataclasses.dataclass(frozen=True)
class Request:
    """A request as a server got it."""

    method: str
    ctx: dict[str, Any]
    args: dict[str, Any]


def request(
    method: str, ctx: Mapping[str, Any], args: Mapping[str, Any], *, is_cast: bool
) -> bytes:
    """A request as it travels."""
    return json.dump_bytes({"ctx": ctx, "method": method, "args": args, "async": is_cast})


def read_request(body: bytes | str) -> Request:
    """The opposite of :func:`request`; ValueError for anything else."""
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    method, ctx, args = found.get("method"), found.get("ctx"), found.get("args")
    if not isinstance(method, str) or not isinstance(ctx, dict) or not isinstance(args, dict):
        raise ValueError("it has no method, context and arguments")
    return Request(method, ctx, args)
