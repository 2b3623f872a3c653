"""An installation on this machine, made of the installed commands as an operator runs them.

For ``tools/demo``, ``tools/bench`` and the integration tests: one :class:`Cluster` is a run
directory with a configuration file, a log and a pid file per process. Standard library only, and
nothing of Mistral is imported.
"""

from __future__ import annotations

import configparser
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from processes import (
    READY_TIMEOUT,
    STOP_GRACE,
    ClusterError,
    ManagedProcess,
    answers,
    clean_environment,
    command_path,
    wait_until,
)

Sections = Mapping[str, Mapping[str, object]]

FEW_CONNECTIONS = 8
"""To the database, per process, where many installations share a server, as in tests."""
_STARTED = {"api": b"The API listens", "engine": b"Engine started", "executor": b"Executor started"}


def write_config(path: Path, sections: Sections, overrides: Sections | None = None) -> Path:
    """Write an INI file; ``overrides`` win option by option, ``None`` leaves an option out."""
    parser = configparser.RawConfigParser(default_section="\0")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    for part in (sections, overrides or {}):
        for section, options in part.items():
            if not parser.has_section(section):
                parser.add_section(section)
            for name, value in options.items():
                if value is None:
                    parser.remove_option(section, name)
                else:
                    parser.set(section, name, str(value))
    with path.open("w") as stream:
        parser.write(stream)
    return path


def embedded_sections(port: int, database_url: str) -> dict[str, dict[str, object]]:
    """All components in one process, messages in memory, no authentication, loopback allowed."""
    return {
        "DEFAULT": {"transport_url": "fake:/"},
        "database": {"connection": database_url},
        "api": {"host": "127.0.0.1", "port": port},
        "pecan": {"auth_enable": False},
        "executor": {"type": "local"},
        "notifier": {"type": "local"},
        "action_std_http": {"denied_cidrs": ""},
    }


def broker_sections(
    port: int,
    database_url: str,
    transport_url: str,
    suffix: str = "",
    rpc: str = "oslo",
    connections: int | None = None,
) -> dict[str, dict[str, object]]:
    """Components as processes that talk over a broker.

    ``suffix`` goes into exchange and topics: installations which share a broker do not meet.
    ``rpc`` is the library that talks to it: "oslo" or "kombu".
    ``connections`` is how many a process may open to the database.
    """
    database: dict[str, object] = {"connection": database_url}
    if connections is not None:
        database |= {"max_pool_size": connections, "max_overflow": 0}
    return {
        "DEFAULT": {
            "transport_url": transport_url,
            "rpc_implementation": rpc,
            "control_exchange": f"mistral{suffix}",
        },
        "database": database,
        "api": {"host": "127.0.0.1", "port": port},
        "pecan": {"auth_enable": False},
        "engine": {"topic": f"mistral_engine{suffix}"},
        "executor": {"topic": f"mistral_executor{suffix}"},
        "event_engine": {"topic": f"mistral_event_engine{suffix}"},
        "notifier": {"topic": f"mistral_notifier{suffix}"},
        "action_std_http": {"denied_cidrs": ""},
        # the queues go with their last consumer: nothing is left in a shared broker
        "oslo_messaging_rabbit": {"amqp_auto_delete": True},
    }


class Cluster:
    """The processes of one installation; a context manager that leaves none behind."""

    def __init__(self, run_dir: Path, sections: Sections) -> None:
        self.run_dir = run_dir
        self.sections = sections
        self.processes: dict[str, ManagedProcess] = {}
        run_dir.mkdir(parents=True, exist_ok=True)
        self.config = write_config(run_dir / "mistral.conf", sections)

    @property
    def url(self) -> str:
        """Base URL of the API."""
        api = self.sections["api"]
        return f"http://{api['host']}:{api['port']}"

    def manage_database(self, *arguments: str, timeout: float = 120.0) -> str:
        """Run ``mistral-db-manage`` with these arguments and return what it printed."""
        done = subprocess.run(
            [command_path("mistral-db-manage"), "--config-file", str(self.config), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
            cwd=self.run_dir,
            timeout=timeout,
            check=False,
        )
        printed = done.stdout.decode(errors="replace")
        if done.returncode:
            raise ClusterError(f"mistral-db-manage {' '.join(arguments)} failed:\n{printed}")
        return printed

    def prepare_database(self) -> None:
        """Create or upgrade the schema and register the standard actions."""
        self.manage_database("upgrade", "head")
        self.manage_database("populate")

    def start(
        self,
        name: str,
        components: str,
        overrides: Sections | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> ManagedProcess:
        """Start ``mistral-server --server components`` under this name.

        It gets a configuration file of its own, in which ``overrides`` win. A name that was
        stopped may be started again.
        """
        if name in self.processes and self.processes[name].alive():
            raise ClusterError(f"{name} runs already")
        config = write_config(self.run_dir / f"{name}.conf", self.sections, overrides)
        return self.start_command(
            name,
            [command_path("mistral-server"), "--config-file", str(config), "--server", components],
            environment,
        )

    def start_command(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> ManagedProcess:
        """Start any other command as one of the cluster's processes."""
        process = ManagedProcess(
            name,
            command,
            self.run_dir / f"{name}.log",
            self.run_dir / f"{name}.pid",
            clean_environment(environment),
        )
        process.start()
        self.processes[name] = process
        return process

    def start_engine(
        self, name: str, environment: Mapping[str, str] | None = None
    ) -> ManagedProcess:
        """An engine process that is called ``name`` in the installation, too."""
        return self.start(name, "engine", {"engine": {"host": name}}, environment)

    def start_executor(
        self, name: str, environment: Mapping[str, str] | None = None
    ) -> ManagedProcess:
        """An executor process that tasks reach with ``target: name``."""
        return self.start(name, "executor", {"executor": {"host": name}}, environment)

    def start_all(self, engines: int = 2, executors: int = 2) -> None:
        """The usual shape behind a broker: one API, some engines, some executors."""
        for number in range(1, engines + 1):
            self.start_engine(f"engine-{number}")
        for number in range(1, executors + 1):
            self.start_executor(f"executor-{number}")
        self.start("api", "api")

    def require_alive(self) -> None:
        """A ClusterError with its log unless every process runs."""
        for process in self.processes.values():
            process.require_alive()

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Until the API answers."""
        self._wait("GET", f"{self.url}/v2/", None, 200, "the API answers", timeout)

    def wait_started(self, name: str, timeout: float = READY_TIMEOUT) -> None:
        """Until a process that is called ``<kind>`` or ``<kind>-<number>`` says that it works.

        The API's own word on it may be a second old, and about a process that was killed since.
        """
        process = self.processes[name]
        sentence = _STARTED[name.partition("-")[0]]

        def works() -> bool:
            process.require_alive()
            return process.says(sentence)

        wait_until(works, f"{name} says: {sentence.decode()}", timeout)

    def wait_working(self, timeout: float = READY_TIMEOUT) -> None:
        """Until API, engine and executor together can run one action."""
        probe = {"name": "std.noop", "input": {}, "params": {"run_sync": True}}
        url = f"{self.url}/v2/action_executions"
        self._wait("POST", url, probe, 201, "an action can be run", timeout)

    def _wait(
        self, method: str, url: str, body: object | None, status: int, what: str, timeout: float
    ) -> None:
        def there() -> bool:
            self.require_alive()
            return answers(method, url, body, status=status)

        try:
            wait_until(there, f"{what} ({method} {url})", timeout)
        except ClusterError as error:
            raise ClusterError(f"{error}\n{self.log_tails()}") from error

    def log_tails(self) -> str:
        """The last lines of every process's log."""
        return "\n".join(process.log_tail() for process in self.processes.values())

    def kill(self, name: str) -> None:
        """kill -9 of one process."""
        self.processes[name].kill()

    def stop(self, name: str, grace: float = STOP_GRACE) -> bool:
        """End one process gracefully; False when it had to be killed."""
        return self.processes[name].stop(grace)

    def stop_all(self, grace: float = STOP_GRACE) -> list[str]:
        """End all processes, at the same time; the names of those that had to be killed."""
        for process in self.processes.values():
            process.send(signal.SIGTERM)
        deadline = time.monotonic() + grace
        return [
            name
            for name, process in self.processes.items()
            if not process.wait_end(max(0.1, deadline - time.monotonic()))
        ]

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()
