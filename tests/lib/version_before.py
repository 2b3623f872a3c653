"""The released version before this one, out of the history of the repository, as processes.

It runs in the same environment; its sources and its entry points come first on the path.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import cluster
import processes
from site_processes import Site

TAG = "0.1.0"
COMMIT = "c2215e18347bef3098ec8245420b74e93e94165f"

_ROOT = Path(__file__).resolve().parents[2]
_EGG_INFO = "import setuptools; setuptools.setup()"
_MODULES = {"mistral-server": "mistral.cmd.launch", "mistral-db-manage": "mistral.cmd.db_manage"}


class HistoryMissing(Exception):
    """This tree is no clone, or a shallow one."""


def extract(directory: Path) -> Path:
    """Unpack the version before into a directory."""
    try:
        packed = subprocess.run(
            ["git", "archive", COMMIT, "mistral", "mistral_lib", "setup.cfg", "setup.py"],
            cwd=_ROOT,
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise HistoryMissing(
            f"Version {TAG} ({COMMIT[:7]}) is not in the history of {_ROOT}: fetch it to test "
            "that two versions work side by side"
        ) from error
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(directory, filter="data")
    for name in ("README.rst", "LICENSE"):
        (directory / name).touch()
    # the entry points of this version, or those of the installed one would be found
    subprocess.run(
        [sys.executable, "-c", _EGG_INFO, "-q", "egg_info"],
        cwd=directory,
        check=True,
        timeout=60,
        capture_output=True,
    )
    return directory


class UpgradedSite(Site):
    """An installation of the version before; what is :meth:`upgrade` d is started as this one."""

    def __init__(
        self,
        run_dir: Path,
        sections: cluster.Sections,
        sources: Path,
        *,
        apis: int = 2,
        engines: int = 2,
        executors: int = 2,
    ) -> None:
        super().__init__(run_dir, sections, apis=apis, engines=engines, executors=executors)
        self._environment = {"PYTHONPATH": str(sources)}
        self._old = set(self.names)

    def run_old(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the version before until it ends."""
        return subprocess.run(
            self._command(command, *arguments),
            env=processes.clean_environment(self._environment),
            cwd=self.installation.run_dir,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start_all(self) -> None:
        """Everything, with a database made by the version before."""
        made = self.run_old("mistral-db-manage", "upgrade", "head")
        if made.returncode:
            raise processes.ClusterError(f"The old database was not made:\n{made.stderr}")
        for name in self.names:
            self.start(name)
        self.installation.wait_ready()
        self.installation.wait_working()

    def start(self, name: str) -> None:
        """Start a process in the version that is its turn."""
        if name not in self._old:
            super().start(name)
            return
        kind = name.partition("-")[0]
        overrides = (
            {"api": {"port": self._ports[name]}} if kind == "api" else {kind: {"host": name}}
        )
        config = cluster.write_config(
            self.installation.run_dir / f"{name}.conf", self.installation.sections, overrides
        )
        self.installation.start_command(
            name,
            [sys.executable, "-m", _MODULES["mistral-server"], "--config-file", str(config)]
            + ["--server", kind],
            self._environment,
        )

    def upgrade(self, name: str) -> None:
        """Stop a process in an orderly way and start it in this version."""
        self._old.discard(name)
        self.restart(name)

    def _command(self, command: str, *arguments: str) -> list[str]:
        config = str(self.installation.config)
        return [sys.executable, "-m", _MODULES[command], "--config-file", config, *arguments]
