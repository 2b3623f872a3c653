"""The process that runs scripts of ``std.js``, one after the other, each in a machine of its own.

It is started as ``python -P -m mistral.actions.js_worker BYTES`` by :mod:`mistral.actions.js_pool`,
reads scripts from its input, writes what became of them to its output, and ends when its parent
does. It may take BYTES beyond what an empty machine needs; allocations that would take more fail,
and where V8 can't go on without them it ends the process. Time is its parent's business.

Nothing of the service is imported here: it has to start quickly.
"""

from __future__ import annotations

import importlib
import os
import resource
import select
import signal
import struct
import sys
import threading
from typing import Any, BinaryIO

HEADER = struct.Struct("!cI")
READY, SCRIPT, VALUE, FAILURE, TOO_LARGE, OUT_OF_MEMORY = b"y", b"s", b"v", b"f", b"l", b"m"
#: What V8 and Python need besides, for collecting garbage and for threads.
_RESERVE = 64 * 1024 * 1024
_MAX_FAILURE = 2000
#: Scripts that do nothing but count leave the processors to the service.
_NICENESS = 5
#: V8's words where a script could go on without the memory.
_NO_MEMORY = ("allocation failed", "could not allocate memory", "memory limit")


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    # whatever libraries print must not come between the answers
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # those of its parent's group are for the parent, which may let the script come to its end
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    # the parent's own limit is no measure for an engine that only just starts
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    library = importlib.import_module("py_mini_racer")
    memory = int(sys.argv[1])
    machine = library.MiniRacer()
    machine.eval("0")
    limit = _data_in_use() + memory + _RESERVE
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    os.nice(_NICENESS)
    send(answers, READY)
    while True:
        kind, script = receive(sys.stdin.buffer)
        if kind != SCRIPT:
            os._exit(0)
        answer = _run(library, machine, script.decode(), memory)
        # a timer of the script's may still keep it busy: then it is not over, and no other begins
        machine.close()
        send(answers, *answer)
        machine = library.MiniRacer()


def _run(library: Any, machine: Any, script: str, memory: int) -> tuple[bytes, bytes]:
    try:
        found = machine.eval(script, max_memory=memory)
    except (library.JSOOMException, MemoryError):
        return OUT_OF_MEMORY, b""
    except library.JSEvalException as error:
        # the other lines quote the script and its stack
        text = str(error).partition("\n")[0][:_MAX_FAILURE]
        kind = OUT_OF_MEMORY if any(words in text for words in _NO_MEMORY) else FAILURE
        return kind, text.encode("utf-8", "replace")
    if isinstance(found, str):
        return VALUE, found.encode("utf-8", "replace")
    # a number is the script's wrapper's way to say so
    return (TOO_LARGE if isinstance(found, (int, float)) else VALUE), b""


def _data_in_use() -> int:
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


def _end_with_parent() -> None:
    """The main thread may be within a script and see no end of its input."""
    parent = select.poll()
    parent.register(0, 0)
    parent.poll()
    os._exit(0)


def send(stream: BinaryIO, kind: bytes, content: bytes = b"") -> None:
    """Write one message."""
    stream.write(HEADER.pack(kind, len(content)) + content)
    stream.flush()


def receive(stream: BinaryIO, limit: int | None = None) -> tuple[bytes, bytes]:
    """Read one message; nothing when the stream has ended, no content beyond the limit."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return b"", b""
    kind, size = HEADER.unpack(header)
    if limit is not None and size > limit:
        return TOO_LARGE, b""
    content = stream.read(size)
    return (kind, content) if len(content) == size else (b"", b"")


if __name__ == "__main__":
    main()
