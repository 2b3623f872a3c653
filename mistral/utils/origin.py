"""Whose output it is: what an action logs or prints carries the action's id.

The executor says which action the code of a thread belongs to (:func:`acting_for`); a thread that
such code starts belongs to it where it runs in a copy of the context. :func:`label_records` and
:func:`label_prints` make the process' logs and standard streams say it.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

_MAX_LINE = 64 * 1024

_origin: contextvars.ContextVar[str] = contextvars.ContextVar("origin", default="")


@contextlib.contextmanager
def acting_for(action: str, action_ex_id: str) -> Iterator[None]:
    """What this thread does meanwhile belongs to an action."""
    token = _origin.set(f"[action={action}, action_ex_id={action_ex_id}]")
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, LabelledStream):
                stream.end_line()
        _origin.reset(token)


def label_records() -> None:
    """Begin the message of each record that an action's code logs with the action's label."""
    plain = logging.getLogRecordFactory()
    if isinstance(plain, functools.partial) and plain.func is _labelled_record:
        return
    logging.setLogRecordFactory(functools.partial(_labelled_record, plain))


def _labelled_record(plain: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    record = plain(*args, **kwargs)
    label = _origin.get()
    if label:
        # the arguments are put in later, and only where there are any
        prefix = label.replace("%", "%%") if record.args else label
        record.msg = f"{prefix} {record.msg}"
    return record


def label_prints() -> None:
    """Begin each line that an action's code prints with the action's label."""
    if not isinstance(sys.stdout, LabelledStream):
        sys.stdout = LabelledStream(sys.stdout)
    if not isinstance(sys.stderr, LabelledStream):
        sys.stderr = LabelledStream(sys.stderr)


class LabelledStream:
    """A text stream that labels whole lines of actions and passes on all else as it is."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._line = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what is complete; the rest of the line may still come."""
        label = _origin.get()
        if not label:
            self._stream.write(text)
            return len(text)
        *lines, rest = (getattr(self._line, "begun", "") + text).split("\n")
        if len(rest) > _MAX_LINE:
            lines.append(rest)
            rest = ""
        self._line.begun = rest
        if lines:
            self._stream.write("".join(_with_label(label, line) for line in lines))
            # into a file it would come much later than the log that it belongs to
            self._stream.flush()
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Also what is no whole line yet."""
        self.end_line()
        self._stream.flush()

    def end_line(self) -> None:
        """Write what this thread's action has printed without an end of line."""
        if getattr(self._line, "begun", ""):
            self.write("\n")


def _with_label(label: str, line: str) -> str:
    # a handler of logs writes records that carry it already
    return f"{line}\n" if label in line else f"{label} {line}\n"
