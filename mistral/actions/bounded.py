"""What the other side of a conversation sends, up to a limit."""

from __future__ import annotations

from typing import Any

from mistral_lib.exceptions import ActionException


class TooMuchSentError(ActionException):
    """The other side sent more than anybody would."""


class Allowance:
    """How much may come: lines of the protocol, and what they frame. 0 lifts either limit.

    What is framed raises the number of lines: a body may come in many small parts.
    """

    _LINES_PER_FRAMED = 8

    def __init__(self, lines: int, lines_refusal: str, framed: int = 0, refusal: str = "") -> None:
        self._lines_left = self._lines = lines
        self._lines_refusal = lines_refusal
        self._framed_left = self._framed = framed
        self._refusal = refusal

    def take_line(self, size: int) -> None:
        """Count a line."""
        self._lines_left -= size
        if self._lines and self._lines_left < 0:
            raise TooMuchSentError(self._lines_refusal)

    def take_framed(self, size: int) -> None:
        """Count what was framed."""
        self._lines_left += self._LINES_PER_FRAMED * size
        self._framed_left -= size
        if self._framed and self._framed_left < 0:
            raise TooMuchSentError(self._refusal)


class BoundedReader:
    """A socket's file of which all that is read is counted."""

    def __init__(self, file: Any, allowance: Allowance) -> None:
        self._file = file
        self._allowance = allowance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def readline(self, limit: int = -1) -> bytes:
        """One line."""
        line: bytes = self._file.readline(limit)
        self._allowance.take_line(len(line))
        return line

    def read(self, amount: int = -1) -> bytes:
        """What is framed."""
        return self._framed(self._file.read(amount))

    def read1(self, amount: int = -1) -> bytes:
        """What is framed, as far as it has come."""
        return self._framed(self._file.read1(amount))

    def readinto(self, buffer: Any) -> int:
        """What is framed."""
        count: int = self._file.readinto(buffer)
        self._allowance.take_framed(count)
        return count

    def _framed(self, data: bytes) -> bytes:
        self._allowance.take_framed(len(data))
        return data


class BoundedSocket:
    """A socket, or something like one, that receives no more than it is granted.

    For libraries that read on threads of their own: what is too much looks like the end of the
    connection to them, and ``is_exhausted`` tells the rest.
    """

    def __init__(self, sock: Any, granted: int, largest_read: int) -> None:
        self.is_exhausted = False
        self._sock = sock
        self._granted = granted
        self._largest_read = largest_read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def grant(self, count: int) -> None:
        """Let more come."""
        self._granted += count

    def recv(self, count: int) -> bytes:
        """What has come, as far as it is granted."""
        if self._granted < 0 or count > self._largest_read:
            self.is_exhausted = True
            return b""
        data: bytes = self._sock.recv(count)
        self._granted -= len(data)
        return data
