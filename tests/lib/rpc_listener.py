"""A process that listens to a topic and prints a line for each message:
``CONFIG TOPIC HOST THREADS``."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from mistral import config
from mistral.rpc.plugins import create_transport


class Listener:
    """Tells what arrives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def echo(self, rpc_ctx: dict[str, Any], value: Any) -> Any:
        with self._lock:
            print(value, flush=True)
        return value


def main(path: str, topic: str, host: str, threads: str) -> None:
    transport = create_transport(config.load(["--config-file", path], environ={}))
    transport.server(topic, host, Listener(), int(threads)).start()
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
