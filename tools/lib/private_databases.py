"""Database servers of one's own, which tests break and bring back.

They listen on free ports of 127.0.0.1, keep their data in a directory of their own, and are gone
with it at the end. PostgreSQL refuses to run as root and gets an unprivileged user.
"""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import processes
import services

START_TIMEOUT = 60.0


class PrivateServer(Protocol):
    """A server of which nobody else knows."""

    service: services.Service

    def start(self) -> None:
        """Start it and wait until it answers."""

    def crash(self) -> None:
        """End it without giving it time for anything."""


def _find(*patterns: str) -> str:
    for pattern in patterns:
        found = shutil.which(pattern) or next(iter(sorted(glob.glob(pattern), reverse=True)), None)
        if found:
            return found
    raise services.ServiceMissing(f"{patterns[0]} is not installed: no private server to break")


def _run(command: Sequence[str], directory: Path) -> None:
    log = directory / "commands.log"
    with log.open("ab") as stream:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=directory,
            timeout=START_TIMEOUT,
            check=False,
        )
    if done.returncode:
        raise processes.ClusterError(f"{' '.join(command)} failed:\n{log.read_text()[-3000:]}")


@contextlib.contextmanager
def _directory(user: str | None) -> Iterator[Path]:
    # short: it holds a Unix socket
    directory = Path(tempfile.mkdtemp(prefix="mistral-db-"))
    try:
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(directory, account.pw_uid, account.pw_gid)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged(name: str) -> str | None:
    """The user that a server takes when the tests run as root."""
    return name if os.geteuid() == 0 else None


class PrivatePostgreSQL:
    """PostgreSQL by ``initdb`` and ``pg_ctl``."""

    def __init__(self, directory: Path, user: str | None) -> None:
        self._directory = directory
        self._prefix = ["runuser", "-u", user, "--"] if user else []
        self._control = _find("pg_ctl", "/usr/lib/postgresql/*/bin/pg_ctl")
        self._data = directory / "data"
        port = processes.free_port()
        self._options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={directory} "
            # a crash of the server alone loses nothing of what the kernel has
            "-c fsync=off -c max_connections=200"
        )
        self.service = services.Service("postgresql", f"postgresql://postgres@127.0.0.1:{port}/")
        self._pg_ctl("initdb", "-o", "-A trust -U postgres --no-sync")

    def _pg_ctl(self, *arguments: str) -> None:
        log = self._directory / "server.log"
        command = [*self._prefix, self._control, "-D", str(self._data), "-s", *arguments]
        if arguments[0] != "initdb":
            command += ["-l", str(log)]
        _run(command, self._directory)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._pg_ctl("start", "-w", "-o", self._options)

    def crash(self) -> None:
        """What ``pg_ctl -m immediate`` does."""
        self._pg_ctl("stop", "-w", "-m", "immediate")


class PrivateMariaDB:
    """MariaDB by ``mariadb-install-db`` and ``mariadbd``."""

    def __init__(
        self,
        directory: Path,
        user: str | None,
        options: Sequence[str] = (),
        port: int | None = None,
    ) -> None:
        self._directory = directory
        self._user = [f"--user={user}"] if user else []
        self._server = _find("mariadbd", "/usr/sbin/mariadbd")
        self._options = list(options)
        self._process: subprocess.Popen[bytes] | None = None
        self.data = directory / "data"
        self.port = port or processes.free_port()
        self.service = services.Service("mariadb", f"mysql://root@127.0.0.1:{self.port}/mysql")
        if not self.data.exists():
            _run(
                [
                    _find("mariadb-install-db"),
                    "--no-defaults",
                    f"--datadir={self.data}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    *self._user,
                ],
                directory,
            )

    def start(self, *options: str, wait: bool = True) -> None:
        """Start it and wait until it answers."""
        command = [
            self._server,
            "--no-defaults",
            f"--datadir={self.data}",
            f"--socket={self._directory}/socket",
            f"--pid-file={self._directory}/pid",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=64M",
            # a crash of the server alone loses nothing of what the kernel has
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-fast-shutdown=0",
            *self._user,
            *self._options,
            *options,
        ]
        with (self._directory / "server.log").open("ab") as stream:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=self._directory,
                start_new_session=True,
            )
        if wait:
            self.wait()

    def wait(self, timeout: float = START_TIMEOUT) -> None:
        """Until it answers."""
        processes.wait_until(self._answers, f"MariaDB answers on port {self.port}", timeout)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise processes.ClusterError(
                f"mariadbd has ended:\n{(self._directory / 'server.log').read_text()[-3000:]}"
            )
        try:
            self.service.check()
        except services.FAILURES:
            return False
        return True

    def crash(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """An orderly end."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(START_TIMEOUT)
        self._process = None


@contextlib.contextmanager
def postgresql() -> Iterator[PrivatePostgreSQL]:
    """A running PostgreSQL server.

    :raises ServiceMissing: it is not installed.
    """
    user = _unprivileged("postgres")
    with _directory(user) as directory:
        server = PrivatePostgreSQL(directory, user)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(processes.ClusterError):
                server.crash()


def _galera_options(nodes: Sequence[Sequence[int]], number: int, name: str) -> list[str]:
    group, state, increments = nodes[number]
    everybody = ",".join(f"127.0.0.1:{ports[0]}" for ports in nodes)
    return [
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
        "--wsrep-on=ON",
        f"--wsrep-provider={_find('/usr/lib*/galera*/libgalera_smm.so')}",
        f"--wsrep-cluster-name={name}",
        f"--wsrep-cluster-address=gcomm://{everybody}",
        f"--wsrep-node-address=127.0.0.1:{group}",
        f"--wsrep-node-name=node-{number}",
        "--wsrep-sst-method=rsync",
        f"--wsrep-sst-receive-address=127.0.0.1:{state}",
        "--wsrep-provider-options="
        f"gmcast.listen_addr=tcp://127.0.0.1:{group};ist.recv_addr=127.0.0.1:{increments};"
        "gcache.size=64M",
    ]


@contextlib.contextmanager
def galera(size: int = 2) -> Iterator[list[PrivateMariaDB]]:
    """A running cluster of MariaDB servers, all of which may be written to.

    :raises ServiceMissing: MariaDB, Galera or rsync is not installed.
    """
    _find("rsync")
    user = _unprivileged("mysql")
    ports = [[processes.free_port() for _ in range(3)] for _ in range(size)]
    name = f"mistral-{os.getpid()}-{ports[0][0]}"
    nodes: list[PrivateMariaDB] = []
    with contextlib.ExitStack() as stack:
        try:
            for number in range(size):
                directory = stack.enter_context(_directory(user))
                node = PrivateMariaDB(directory, user, _galera_options(ports, number, name))
                nodes.append(node)
                node.start(*(["--wsrep-new-cluster"] if number == 0 else []))
            yield nodes
        finally:
            for node in nodes:
                node.crash()


@contextlib.contextmanager
def mariadb() -> Iterator[PrivateMariaDB]:
    """A running MariaDB server.

    :raises ServiceMissing: it is not installed.
    """
    user = _unprivileged("mysql")
    with _directory(user) as directory:
        server = PrivateMariaDB(directory, user)
        try:
            server.start()
            yield server
        finally:
            server.crash()
