"""What actions log and print says whose it is: in a process of its own, for it changes streams."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mistral.utils import origin

PROGRAM = """
import asyncio, contextvars, logging, sys, threading
from mistral.utils import origin

logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO, stream=sys.stdout)
origin.label_records()
origin.label_records()
origin.label_prints()
origin.label_prints()
again = logging.StreamHandler(sys.stdout)

def work(word):
    print(word, 1)
    print("two\\nlines")
    logging.info("%s of 100%%", word)

with origin.acting_for("my.a%d", "a1"):
    work("one")
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work, "thread"))
    thread.start()
    thread.join()
    asyncio.run(asyncio.to_thread(print, "loop"))
    print("half", end="", flush=True)
    again.emit(logging.makeLogRecord({"msg": "handled"}))
print("mine")
logging.info("100% mine")
"""


def test_lines_and_records_carry_the_action() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True
    )
    label = "[action=my.a%d, action_ex_id=a1]"
    lines = done.stdout.splitlines()
    expected = [f"{label} {word}" for word in ("one 1", "two", "lines", "thread 1", "loop", "half")]
    assert set(expected) < set(lines)
    assert f"INFO {label} one of 100%" in lines
    assert f"INFO {label} thread of 100%" in lines
    assert f"{label} handled" in lines
    assert lines[-2:] == ["mine", "INFO 100% mine"]
    assert all(label in line for line in lines[:-2])


def test_no_class_of_the_language_is_changed() -> None:
    program = "import threading; start = threading.Thread.start; "
    program += "from mistral.utils import origin; origin.label_records(); origin.label_prints(); "
    program += "assert threading.Thread.start is start"
    subprocess.run([sys.executable, "-c", program], timeout=30, check=True)


def test_lines_do_not_wait_in_a_buffer() -> None:
    file = io.TextIOWrapper(io.BytesIO())
    stream = origin.LabelledStream(file)
    with origin.acting_for("a", "1"):
        stream.write("begun, ")
        assert file.buffer.getvalue() == b""  # type: ignore[attr-defined]
        stream.write("ended\n")
        stream.write("x" * 70_000)
    assert stream.encoding == file.encoding
    printed = file.buffer.getvalue().decode().splitlines()  # type: ignore[attr-defined]
    assert printed == [
        "[action=a, action_ex_id=1] begun, ended",
        f"[action=a, action_ex_id=1] {'x' * 70_000}",
    ]


@pytest.fixture
def labelled_records() -> Iterator[None]:
    plain = logging.getLogRecordFactory()
    origin.label_records()
    yield
    logging.setLogRecordFactory(plain)


@pytest.mark.usefixtures("labelled_records")
def test_an_action_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with origin.acting_for("a", "1"):
        logging.info("inside")
        with origin.acting_for("b", "2"):
            logging.info("deeper")
        logging.info("inside again")
    logging.info("outside")
    assert caplog.messages == [
        "[action=a, action_ex_id=1] inside",
        "[action=b, action_ex_id=2] deeper",
        "[action=a, action_ex_id=1] inside again",
        "outside",
    ]
