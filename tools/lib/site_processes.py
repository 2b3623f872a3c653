"""An installation of several APIs, engines and executors whose processes may die and come back."""

from __future__ import annotations

import functools
from pathlib import Path

import cluster
import processes

KINDS = ("api", "engine", "executor")


class Site:
    """Processes by name, ``<kind>-<number>``; each can be started again as it was.

    The first API listens where the configuration says, which third parties are told; the others
    have ports of their own.
    """

    def __init__(
        self,
        run_dir: Path,
        sections: cluster.Sections,
        *,
        apis: int = 1,
        engines: int = 2,
        executors: int = 2,
    ) -> None:
        self.installation = cluster.Cluster(run_dir, sections)
        #: Variables that processes get when they are started (again), by name.
        self.environments: dict[str, dict[str, str]] = {}
        counts = dict(zip(KINDS, (apis, engines, executors), strict=True))
        self.names = [f"{kind}-{n}" for kind in KINDS for n in range(1, counts[kind] + 1)]
        first_port = int(str(sections["api"]["port"]))
        self._ports = {
            name: first_port if name == "api-1" else processes.free_port()
            for name in self.names
            if name.startswith("api")
        }

    @property
    def urls(self) -> list[str]:
        """Base URLs of the APIs."""
        host = self.installation.sections["api"]["host"]
        return [f"http://{host}:{port}" for port in self._ports.values()]

    @property
    def config(self) -> Path:
        """The configuration file that all processes have in common."""
        return self.installation.config

    def start(self, name: str) -> None:
        """Start a process that does not run."""
        kind = name.partition("-")[0]
        own = {"port": self._ports[name]} if kind == "api" else {"host": name}
        self.installation.start(name, kind, {kind: own}, self.environments.get(name))

    def start_all(self) -> None:
        """Make the database, start everything, and wait until it works."""
        self.installation.prepare_database()
        for name in self.names:
            self.start(name)
        for url in self.urls:
            processes.wait_until(functools.partial(self._listens, url), f"the API at {url} answers")
        self.installation.wait_working()

    def _listens(self, url: str) -> bool:
        self.installation.require_alive()
        return processes.answers("GET", f"{url}/v2/")

    def kill(self, name: str) -> None:
        """kill -9, and start it again at once."""
        self.installation.kill(name)
        self.start(name)

    def restart(self, name: str, timeout: float = processes.READY_TIMEOUT) -> None:
        """SIGTERM, which has to be enough; start it again and wait until it works."""
        process = self.installation.processes[name]
        if not self.installation.stop(name):
            raise processes.ClusterError(f"{name} had to be killed\n{process.log_tail()}")
        self.start(name)
        self.installation.wait_started(name, timeout)

    def suspend(self, name: str) -> None:
        """SIGSTOP: nobody sees a difference to a dead host, until it goes on."""
        self.installation.processes[name].suspend()

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self.installation.processes[name].resume()

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.installation.processes.values():
            process.resume()
        self.installation.stop_all()
