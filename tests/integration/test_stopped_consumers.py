"""A process that is stopped keeps few messages from the others that listen to its topic."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import processes
import pytest
import services

from mistral import config
from mistral.rpc.plugins import create_transport
from tests.lib import rpc_listener

MESSAGES = 60
KEPT = 4
THREADS = 32


class Endpoint:
    def __init__(self) -> None:
        self.values: list[int] = []
        self.lock = threading.Lock()

    def echo(self, rpc_ctx: dict[str, Any], value: int) -> int:
        with self.lock:
            self.values.append(value)
        return value


@pytest.fixture
def conf_path(rabbitmq: services.Service, tmp_path: Path, implementation: str) -> Iterator[Path]:
    exchange = f"mistral_test_{secrets.token_hex(6)}"
    path = tmp_path / "mistral.conf"
    path.write_text(
        f"[DEFAULT]\nrpc_implementation = {implementation}\ntransport_url = {rabbitmq.url}\n"
        f"control_exchange = {exchange}\n[oslo_messaging_rabbit]\namqp_auto_delete = true\n"
    )
    with rabbitmq.forgotten_names(exchange):
        yield path


@contextlib.contextmanager
def listening(path: Path, topic: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, rpc_listener.__file__, str(path), topic, "sleeper", str(THREADS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("implementation", ["oslo", "kombu"])
def test_others_get_nearly_everything(conf_path: Path, unique_suffix: str) -> None:
    topic = f"topic{unique_suffix}"
    transport = create_transport(config.load(["--config-file", str(conf_path)], environ={}))
    endpoint = Endpoint()
    with listening(conf_path, topic) as sleeper:
        server = transport.server(topic, "awake", endpoint, 4)
        server.start()
        sleeper.send_signal(signal.SIGSTOP)
        client = transport.client(topic)
        for number in range(MESSAGES):
            client.cast("echo", None, value=number)
        processes.wait_until(
            lambda: len(endpoint.values) >= MESSAGES - KEPT,
            "the one that is awake gets what the other does not take",
            20,
        )
        kept = set(range(MESSAGES)) - set(endpoint.values)
        assert 0 < len(kept) <= KEPT
        sleeper.send_signal(signal.SIGCONT)
        assert sleeper.stdout is not None
        assert {int(sleeper.stdout.readline()) for _ in kept} == kept
        server.stop()
    transport.close()
