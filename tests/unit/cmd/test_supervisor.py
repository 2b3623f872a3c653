"""The small parent: starts again what has died, and nothing else; real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import pytest

from mistral.service import supervision

PARENT = """
import sys
from mistral.cmd.supervisor import Supervisor
sys.exit(Supervisor([sys.executable, *sys.argv[1:]], pause=0.05).run())
"""
GOODBYE = f"os.write(int(os.environ['{supervision.VARIABLE}']), {supervision.ENDED!r})"

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Where the children note that they live."""
    return tmp_path / "notes"


@pytest.fixture
def start(notes: Path) -> Iterator[Start]:
    """Starts a parent whose child notes its process id, then runs a text."""
    parents = []

    def started(text: str) -> subprocess.Popen[str]:
        child = f"""
            import os, signal, sys, time
            with open({str(notes)!r}, "a") as notes:
                notes.write(f"{{os.getpid()}}\\n")
            count = len(open({str(notes)!r}).readlines())
        """
        child = textwrap.dedent(child) + text
        command = [sys.executable, "-c", PARENT, "-c", child]
        parents.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return parents[-1]

    yield started
    for parent in parents:
        parent.kill()
        parent.communicate()


def _lives(notes: Path) -> list[int]:
    return [int(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def _wait_lives(notes: Path, count: int) -> list[int]:
    processes.wait_until(lambda: len(_lives(notes)) >= count, f"{count} lives", 20)
    return _lives(notes)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("death", ["os._exit(1)", "os.kill(os.getpid(), 9)", "raise ValueError"])
def test_who_dies_is_started_again(start: Start, notes: Path, death: str) -> None:
    parent = start(f"if count < 3:\n    {death}\n{GOODBYE}\nsys.exit(5)")
    _, told = parent.communicate(timeout=20)
    assert parent.returncode == 5
    assert len(_lives(notes)) == 3
    assert told.count("it is started again") == 2


@pytest.mark.parametrize(("text", "status"), [("pass", 0), (f"{GOODBYE}; sys.exit(1)", 1)])
def test_who_ends_in_order_is_not(start: Start, notes: Path, text: str, status: int) -> None:
    parent = start(text)
    assert parent.wait(20) == status
    assert len(_lives(notes)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on(start: Start, notes: Path, number: signal.Signals) -> None:
    parent = start(f"signal.signal({number.value}, lambda *_: sys.exit(3))\ntime.sleep(30)")
    (child,) = _wait_lives(notes, 1)
    time.sleep(0.3)
    parent.send_signal(number)
    assert parent.wait(20) == 3
    assert not _is_alive(child)


def test_who_does_not_heed_a_signal_is_not_started_again(start: Start, notes: Path) -> None:
    parent = start("time.sleep(30)")
    _wait_lives(notes, 1)
    parent.terminate()
    assert parent.wait(20) == 1
    assert len(_lives(notes)) == 1


def test_a_signal_between_two_lives_ends_it(start: Start, notes: Path) -> None:
    parent = start("os._exit(1)")
    _wait_lives(notes, 3)
    parent.terminate()
    assert parent.wait(20) == 1


def test_nobody_outlives_the_parent(start: Start, notes: Path) -> None:
    parent = start("time.sleep(30)")
    (child,) = _wait_lives(notes, 1)
    parent.kill()
    processes.wait_until(lambda: not _is_alive(child), "the end of the child", 10)


def test_it_is_small() -> None:
    """Everybody who tries the service out pays for it."""
    text = """
        import sys, mistral.cmd.supervisor
        print(sorted(n for n in sys.modules if n.startswith(("mistral.", "oslo", "sqlalchemy"))))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    loaded = ["mistral.cmd", "mistral.cmd.supervisor", "mistral.service"]
    assert done.stdout.strip() == str([*loaded, "mistral.service.supervision"])
