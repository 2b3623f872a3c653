"""A copy of the project in which mutants live and tests meet them.

The working tree is never changed. The copy has a virtual environment of its own, which is that of
the working tree but finds the project's packages in the copy, as processes do that tests start.
Compiled files of the copy are recognised by the source's hash: a mutant and its original may have
the same size and the same second.
"""

from __future__ import annotations

import compileall
import dataclasses
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

COPIED = ("mistral", "mistral_lib", "tests", "tools", "etc", "doc")
COPIED_FILES = ("pyproject.toml", "setup.cfg", "setup.py", "README.rst", "CHANGELOG.rst")
#: Inherited by all processes of a copy, so that those left behind are found.
MARK = "MUTANT_SITE"
MEMORY_KB = 4_000_000
GRACE = 20.0

PASSED, FAILED, TIMEOUT = "passed", "failed", "timeout"


@dataclasses.dataclass(frozen=True)
class Run:
    """How some tests went: ``passed``, ``failed`` or ``timeout``, and who said so."""

    outcome: str
    seconds: float
    told: str = ""


class MutantSite:
    """One copy of the project, for one mutant at a time."""

    def __init__(self, root: Path, directory: Path) -> None:
        self._root = root
        self.directory = directory
        self._project = directory / "project"
        self._python = directory / "venv" / "bin" / "python"
        self._originals: dict[str, str] = {}
        self._is_abandoned = False

    def make(self) -> None:
        """Copy the project."""
        ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
        for name in COPIED:
            if (self._root / name).is_dir():
                shutil.copytree(self._root / name, self._project / name, ignore=ignored)
        for name in COPIED_FILES:
            if (self._root / name).is_file():
                shutil.copy2(self._root / name, self._project / name)
        for name in ("mistral", "mistral_lib"):
            compileall.compile_dir(
                self._project / name,
                quiet=2,
                invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
            )
        (self.directory / "tmp").mkdir()
        self._make_environment()

    def _make_environment(self) -> None:
        there = self.directory / "venv"
        venv.EnvBuilder(symlinks=True).create(there)
        site = next((there / "lib").glob("python*/site-packages"))
        behind = next((Path(sys.prefix) / "lib").glob("python*/site-packages"))
        # the copy comes before what the working tree's environment knows
        lines = [str(self._project), f"import site; site.addsitedir({str(behind)!r})"]
        (site / "mutants.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
        scripts = Path(sys.prefix) / "bin"
        for script in scripts.iterdir():
            mine = there / "bin" / script.name
            if mine.exists() or not script.is_file() or script.stat().st_size > 10_000:
                continue
            text = script.read_bytes()
            mine.write_bytes(text.replace(os.fsencode(scripts), os.fsencode(there / "bin")))
            mine.chmod(0o755)

    def change(self, module: str, text: str) -> None:
        """Replace a module's source."""
        path = self._project / module
        self._originals.setdefault(module, path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")

    def restore(self) -> None:
        """The project as it was."""
        for module, text in self._originals.items():
            (self._project / module).write_text(text, encoding="utf-8")
        self._originals.clear()

    def abandon(self) -> None:
        """Run nothing any more, and end what runs; for another thread."""
        self._is_abandoned = True
        self._end_all()

    def python(self, arguments: Sequence[str], timeout: float) -> Run:
        """Run the environment's Python in the copy."""
        if self._is_abandoned:
            raise RuntimeError("This copy is used no more.")
        command = f'ulimit -c 0 -d {MEMORY_KB}; exec "$@"'
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
            **{"PYTHONUTF8": "1", MARK: str(self.directory), "TMPDIR": str(self.directory / "tmp")},
        }
        begun = time.monotonic()
        log = self.directory / "output"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", command, "bash", str(self._python), *arguments],
                cwd=self._project,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
                self._end(process)
            finally:
                self._end_all()
        seconds = time.monotonic() - begun
        shutil.rmtree(self.directory / "tmp", ignore_errors=True)
        (self.directory / "tmp").mkdir()
        if status is None:
            return Run(TIMEOUT, seconds, f"after {timeout:.0f} s")
        told = log.read_text(encoding="utf-8", errors="replace")
        return Run(FAILED if status else PASSED, seconds, _last_words(told))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Let pytest stop what it has started, but not for ever."""
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _end_all(self) -> None:
        """Kill what this copy's tests have left behind."""
        mark = f"{MARK}={self.directory}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue


def _last_words(output: str) -> str:
    """What a failed run says first of what failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for beginning in ("FAILED", "ERROR", "seed "):
        for line in lines:
            if line.startswith(beginning):
                return line[:300]
    return lines[-1][:300] if lines else ""
