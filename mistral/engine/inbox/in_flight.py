"""What a process is handling just now, noted where it outlives the process.

A process that dies of an event can't tell any more. So each thread writes into a file that is
mapped into memory what it has begun, and wipes it when that has ended, well or not: a copy of some
bytes, no system call. The file is locked while its process lives; of a dead one another process of
the same host, or the next life of the same, reads what it died of.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import mmap
import os
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from mistral.utils import ids, json

LOG = logging.getLogger(__name__)

_SLOTS: Final = 128
_SLOT_SIZE: Final = 4096
_END: Final = b"\0"
_KEPT_SECONDS: Final = 7 * 24 * 3600

Key = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Note:
    """An execution, and which of its events were handled for the first time, by kind and id."""

    execution_id: str
    keys: tuple[Key, ...] = ()

    def encode(self) -> bytes:
        """As text; a large batch is only noted by its execution."""
        text = json.dump_bytes([self.execution_id, self.keys])
        return text if len(text) < _SLOT_SIZE else json.dump_bytes([self.execution_id, []])

    @classmethod
    def decode(cls, text: bytes) -> Note:
        """Of a text.

        :raises ValueError: it is none: the process died while it wrote.
        """
        execution_id, keys = json.loads(text.decode())
        return cls(execution_id, tuple((kind, row_id) for kind, row_id in keys))


class InFlight:
    """The notes of this process; safe between its threads.

    :param directory: where the files of all processes on this host are; without one nothing is
        noted.
    :param family: tells the files of one installation from those of others.
    """

    def __init__(self, directory: Path | None = None, family: str = "") -> None:
        self._directory = directory
        self._prefix = f"handling-{family}-"
        self._map: mmap.mmap | None = None
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._free = list(range(_SLOTS))
        self._guard = threading.Lock()

    def open(self) -> None:
        """Begin to note."""
        if self._directory is None:
            return
        name = f"{self._prefix}{ids.new_id()}"
        hidden, path = self._directory / f".{name}", self._directory / name
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_owner(self._directory)
            self._file = hidden.open("w+b")
            self._file.truncate(_SLOTS * _SLOT_SIZE)
            self._map = mmap.mmap(self._file.fileno(), _SLOTS * _SLOT_SIZE)
            # who finds it without a lock takes this process for dead
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._path = hidden.rename(path)
            self._forget_old()
        except OSError as error:
            LOG.warning("What an engine dies of will not be known: %s", error)
            self._map = None

    def close(self) -> None:
        """Nothing is handled any more."""
        if self._map is not None and self._path is not None and self._file is not None:
            self._map = None
            self._path.unlink(missing_ok=True)
            self._file.close()

    @contextlib.contextmanager
    def handling(self, execution_id: str, keys: Sequence[Key] = ()) -> Iterator[None]:
        """Note what is handled meanwhile."""
        mapped = self._map
        with self._guard:
            slot = self._free.pop() if self._free and mapped is not None else None
        if slot is None or mapped is None:
            yield
            return
        start = slot * _SLOT_SIZE
        text = Note(execution_id, tuple(keys)).encode() + _END
        mapped[start : start + len(text)] = text
        try:
            yield
        finally:
            mapped[start : start + 1] = _END
            with self._guard:
                self._free.append(slot)

    @contextlib.contextmanager
    def left_behind(self) -> Iterator[list[Note]]:
        """What dead processes were handling; it is forgotten afterwards, unless that fails."""
        found: list[Note] = []
        with contextlib.ExitStack() as stack:
            dead = []
            for path in self._files():
                try:
                    file = stack.enter_context(path.open("rb"))
                except FileNotFoundError:
                    # somebody else has read and removed it a moment ago
                    continue
                if _is_abandoned(file, path):
                    dead.append(path)
                    found += _notes(file.read())
            yield found
            for path in dead:
                path.unlink(missing_ok=True)

    def _forget_old(self) -> None:
        """Installations whose engines never come back leave files behind."""
        for path in self._directory.glob("handling-*") if self._directory else ():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _KEPT_SECONDS:
                    with path.open("rb") as file:
                        if _is_abandoned(file, path):
                            path.unlink()

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob(f"{self._prefix}*")) if self._directory else []


def _check_owner(directory: Path) -> None:
    """Among temporary files anybody may have made it."""
    is_shared = directory.parent.stat().st_mode & stat.S_ISVTX
    if is_shared and directory.stat().st_uid != os.getuid():
        raise PermissionError(f"{directory} belongs to somebody else")


def _is_abandoned(file: BinaryIO, path: Path) -> bool:
    """Whether its process is dead, and nobody else looks at it; it is locked then."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # somebody else may have removed it while it was being opened
    return path.exists()


def _notes(content: bytes) -> Iterator[Note]:
    for start in range(0, len(content), _SLOT_SIZE):
        text = content[start : start + _SLOT_SIZE].partition(_END)[0]
        if text:
            with contextlib.suppress(ValueError, TypeError):
                yield Note.decode(text)
