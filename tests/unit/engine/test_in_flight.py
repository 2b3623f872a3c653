"""What a process was handling is known after its death, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mistral.engine.inbox.in_flight import InFlight, Note

DYING = """
import os, sys
from pathlib import Path
from mistral.engine.inbox.in_flight import InFlight
notes = InFlight(Path(sys.argv[1]), "a")
notes.open()
with notes.handling("w", [("event", "1")]):
    pass
with notes.handling("v", [("start", "v")]), notes.handling("w", [("event", "2"), ("timer", "3")]):
    os._exit(1)
"""


def _die(directory: Path) -> None:
    subprocess.run([sys.executable, "-c", DYING, str(directory)], check=False)


def _found(notes: InFlight) -> set[Note]:
    with notes.left_behind() as found:
        return set(found)


def test_the_next_process_reads_what_the_last_one_was_handling(tmp_path: Path) -> None:
    _die(tmp_path)
    notes = InFlight(tmp_path, "a")
    assert _found(notes) == {
        Note("v", (("start", "v"),)),
        Note("w", (("event", "2"), ("timer", "3"))),
    }
    assert _found(notes) == set()
    assert list(tmp_path.iterdir()) == []


def test_nobody_reads_of_the_living_or_of_other_installations(tmp_path: Path) -> None:
    _die(tmp_path)
    living, other = InFlight(tmp_path, "b"), InFlight(tmp_path, "b")
    living.open()
    with living.handling("w", [("event", "1")]):
        assert _found(other) == set()
    living.close()
    assert _found(other) == set()
    assert len(_found(InFlight(tmp_path, "a"))) == 2


def test_processes_that_look_and_end_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another one has removed since it was listed is no matter of this one."""
    _die(tmp_path)
    notes = InFlight(tmp_path, "a")
    notes.open()
    there = [*notes._files(), tmp_path / "handling-a-gone"]
    monkeypatch.setattr(notes, "_files", lambda: there)
    with notes.left_behind() as found:
        assert len(found) == 2
    notes.close()
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_counted_is_found_again(tmp_path: Path) -> None:
    _die(tmp_path)
    notes = InFlight(tmp_path, "a")
    with pytest.raises(ZeroDivisionError), notes.left_behind():
        raise ZeroDivisionError
    assert len(_found(notes)) == 2


def test_a_large_batch_is_known_by_its_execution(tmp_path: Path) -> None:
    keys = tuple(("delivered", str(number) * 36) for number in range(1000))
    assert Note.decode(Note("w", keys).encode()) == Note("w")
    assert Note.decode(Note("w", keys[:3]).encode()) == Note("w", keys[:3])


def test_a_directory_that_cannot_be_used_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for notes in (InFlight(tmp_path / "file" / "x", "a"), InFlight()):
        notes.open()
        with notes.handling("w", [("event", "1")]):
            assert _found(notes) == set()
        notes.close()


def test_what_nobody_asks_for_is_removed_after_a_week(tmp_path: Path) -> None:
    _die(tmp_path)
    (path,) = tmp_path.iterdir()
    other = InFlight(tmp_path, "b")
    other.open()
    assert path.exists()
    other.close()
    os.utime(path, (0, 0))
    other.open()
    other.close()
    assert not path.exists()
