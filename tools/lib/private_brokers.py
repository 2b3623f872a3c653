"""RabbitMQ and Redis servers of one's own, on free ports, which may be killed, stopped and emptied.

A machine's shared broker is nobody's to restart. Everything a private one writes is below its
directory; nothing of it is left when its context ends. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
from pathlib import Path

from processes import ClusterError, ManagedProcess, clean_environment, free_port, wait_until

START_TIMEOUT = 90.0


def found(*commands: str) -> str | None:
    """The path of the first of these commands that is installed."""
    return next((path for path in map(shutil.which, commands) if path), None)


class PrivateBroker:
    """A broker process; a context manager that ends it. Subclasses know how it is started."""

    name = ""
    commands: tuple[str, ...] = ()

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.port = free_port()
        self.data.mkdir(parents=True, exist_ok=True)
        command = found(*self.commands)
        if command is None:
            raise ClusterError(f"{self.name} is not installed on this machine")
        self._process = ManagedProcess(
            self.name,
            self._command(command),
            directory / f"{self.name}.log",
            directory / f"{self.name}.pid",
            clean_environment(self._environment()),
        )

    @property
    def url(self) -> str:
        """The address as a ``transport_url``."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._process.start()
        wait_until(self._is_there, f"{self.name} answers on port {self.port}", START_TIMEOUT, 0.2)

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()

    def restart(self, purge: bool = False) -> None:
        """kill -9, then start it again; with ``purge`` everything that it has stored is gone."""
        self.kill()
        if purge:
            shutil.rmtree(self.data)
            self.data.mkdir()
        self.start()

    def _command(self, path: str) -> list[str]:
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        return {}

    def _is_there(self) -> bool:
        self._process.require_alive()
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 2) as connection,
        ):
            connection.settimeout(5)
            return self._greets(connection)
        return False

    def _greets(self, connection: socket.socket) -> bool:
        raise NotImplementedError

    def __enter__(self) -> PrivateBroker:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class PrivateRabbitMQ(PrivateBroker):
    """A node with a name, a port and a cookie of its own, without plug-ins."""

    name = "rabbitmq"
    # the wrapper that distributions put first in the path insists on the system's directories
    commands = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")

    @property
    def url(self) -> str:
        return f"rabbit://guest:guest@127.0.0.1:{self.port}/"

    def _command(self, path: str) -> list[str]:
        return [path]

    def _environment(self) -> dict[str, str]:
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        cookie = home / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        plugins = self.directory / "enabled_plugins"
        plugins.write_text("[].\n")
        config = self.directory / "rabbitmq.conf"
        config.write_text(f"listeners.tcp.local = 127.0.0.1:{self.port}\n")
        settings = self.directory / "rabbitmq-env.conf"
        settings.write_text("")
        return {
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"mistral-{secrets.token_hex(6)}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.data),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_CONF_ENV_FILE": str(settings),
            "RABBITMQ_PID_FILE": str(self.directory / "node.pid"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "PATH": os.environ.get("PATH", os.defpath),
        }

    def _greets(self, connection: socket.socket) -> bool:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return bool(connection.recv(8))


class PrivateRedis(PrivateBroker):
    """A server that writes what it has to a file, as often as it can."""

    name = "redis"
    commands = ("redis-server",)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self, path: str) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
        }
        return [path, *(part for name, text in options.items() for part in (f"--{name}", text))]

    def _greets(self, connection: socket.socket) -> bool:
        connection.sendall(b"PING\r\n")
        return connection.recv(7) == b"+PONG\r\n"
