"""The tools: ``--help`` needs nothing installed, and two at once share one environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
NAMES = sorted(path.name for path in TOOLS.iterdir() if path.is_file())


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The tools as a fresh clone has them, and a Python that has nothing."""
    shutil.copytree(TOOLS, tmp_path / "clone" / "tools")
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    real = subprocess.run(
        ["python3", "-c", "import sys; print(sys._base_executable)"],
        capture_output=True,
        text=True,
        check=True,
    )
    python.write_text(f'#!/bin/sh\nexec "{real.stdout.strip()}" -I -S "$@"\n')
    python.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", NAMES)
def test_help_works_on_a_fresh_clone(clone: Path, name: str, flag: str) -> None:
    environment = {"PATH": f"{clone}/bin:{os.defpath}", "HOME": str(clone)}
    before = sorted(clone.rglob("*"))
    done = subprocess.run(
        [str(clone / "clone" / "tools" / name), flag],
        capture_output=True,
        text=True,
        env=environment,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"tools/{name}" in done.stdout
    assert [path for path in sorted(clone.rglob("*")) if path not in before] == []


def test_two_tools_at_once_make_one_environment(tmp_path: Path) -> None:
    script = f"""
    set -euo pipefail
    . {TOOLS}/lib/bootstrap.sh
    make_venv() {{
        echo made >> {tmp_path}/log
        mkdir -p "$1/bin"; sleep 0.5; cp /bin/true "$1/bin/python"
    }}
    ensure_venv {tmp_path}/venv stamp
    [ -x {tmp_path}/venv/bin/python ]
    """
    tools = [subprocess.Popen(["bash", "-c", script]) for _ in range(2)]
    assert [tool.wait(30) for tool in tools] == [0, 0]
    assert (tmp_path / "log").read_text() == "made\n"
