"""Groups of components and the life of a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from mistral.service.base import MistralService, ServiceGroup


class Recorder(MistralService):
    def __init__(self, name: str, log: list[str], fails: bool = False) -> None:
        self.name = name
        self.log = log
        self.fails = fails

    def start(self) -> None:
        self.log.append(f"start {self.name}")
        if self.fails:
            raise RuntimeError(self.name)

    def stop(self, graceful: bool = False) -> None:
        self.log.append(f"stop {self.name} {graceful}")


def test_components_stop_in_the_opposite_order() -> None:
    log: list[str] = []
    group = ServiceGroup(
        [Recorder("a", log), Recorder("b", log)], clean_up=[lambda: log.append("clean")]
    )
    group.start()
    group.stop(graceful=True)
    group.stop(graceful=True)
    assert log == ["start a", "start b", "stop b True", "stop a True", "clean"]


def test_one_that_fails_to_start_is_stopped_with_those_before_it() -> None:
    log: list[str] = []
    group = ServiceGroup([Recorder("a", log), Recorder("b", log, fails=True), Recorder("c", log)])
    with pytest.raises(RuntimeError):
        group.start()
    group.stop()
    assert log == ["start a", "start b", "stop b False", "stop a False"]


PROGRAM = textwrap.dedent(
    """
    import sys, threading
    from mistral.service.base import Process

    class Service:
        def start(self):
            print("started", flush=True)
        def stop(self, graceful=False):
            print("stopping", graceful, flush=True)
            if sys.argv[1] == "hang":
                threading.Event().wait()

    Process(Service(), lambda: print("reloaded", flush=True), patience=60).run()
    print("ended", flush=True)
    """
)


@pytest.fixture
def process(request: pytest.FixtureRequest):
    how = getattr(request, "param", "")
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "started\n"
    yield child
    if child.poll() is None:
        child.kill()
    child.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_gracefully(process: subprocess.Popen[str], number: int) -> None:
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=20)
    assert output == "stopping True\nended\n"
    assert process.returncode == 0


def test_sighup_reloads_and_goes_on(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGHUP)
    assert process.stdout.readline() == "reloaded\n"
    os.kill(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert output == "stopping True\nended\n"


@pytest.mark.parametrize("process", ["hang"], indirect=True)
def test_a_second_signal_ends_at_once(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGTERM)
    assert process.stdout.readline() == "stopping True\n"
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 1
