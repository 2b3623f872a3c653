"""What ``etc/`` offers operators works, or is at least what it says it is."""

from __future__ import annotations

import configparser
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cluster
import processes
import pytest
import services

from mistral.config import options
from tests.lib.flows import Flows

ROOT = Path(__file__).resolve().parents[2]
ETC = ROOT / "etc"
UNITS = sorted((ETC / "systemd").glob("*.service"))


@pytest.fixture
def installation(
    postgresql: services.Service, rabbitmq: services.Service, tmp_path: Path
) -> Iterator[cluster.Cluster]:
    """An engine and an executor without an API."""
    with postgresql.new_database() as url:
        suffix = f"_{secrets.token_hex(6)}"
        sections = cluster.broker_sections(
            processes.free_port(), url, rabbitmq.url, suffix, connections=cluster.FEW_CONNECTIONS
        )
        with cluster.Cluster(tmp_path, sections) as made:
            made.prepare_database()
            made.start_engine("engine")
            made.start_executor("executor")
            yield made


def test_the_api_behind_gunicorn(installation: cluster.Cluster) -> None:
    address = installation.url.removeprefix("http://")
    gunicorn = installation.start_command(
        "gunicorn",
        [
            processes.command_path("gunicorn"),
            *("--config", str(ETC / "gunicorn.conf.py")),
            *("--bind", address),
        ],
        {"MISTRAL_CONFIG_FILE": str(installation.config)},
    )
    installation.wait_ready()
    installation.wait_working()
    run = Flows(installation.url).launch("""
    main:
      output: {answer: <% task(t).result %>}
      tasks:
        t: {action: std.async_noop, on-success: u}
        u: {action: std.echo output=1}
    """)
    run.finish("t", 42)
    assert run.wait().output == {"answer": 42}
    assert gunicorn.stop(), gunicorn.log_tail()
    assert "Traceback" not in gunicorn.log.read_text()


def test_tools_cluster(
    postgresql: services.Service, rabbitmq: services.Service, tmp_path: Path
) -> None:
    """It starts all of it, tells where it is, and leaves nothing behind."""
    command = [sys.executable, str(ROOT / "tools" / "lib" / "run_cluster.py")]
    command += ["--api", "2", "--engines", "1", "--executors", "1", "--rpc", "kombu"]
    command += ["--port", str(processes.free_port()), "--run-dir", str(tmp_path / "run")]
    tool = processes.ManagedProcess(
        "cluster", command, tmp_path / "log", tmp_path / "pid", dict(os.environ)
    )
    tool.start()
    try:

        def urls() -> list[str]:
            tool.require_alive()
            return re.findall(r"http://\S+(?=/v2)", tool.log.read_text())

        processes.wait_until(lambda: "Ctrl-C" in tool.log.read_text() and urls(), "it is up", 90)
        first, second = sorted(set(urls()), key=urls().index)[:2]
        run = Flows(first).launch("main: {tasks: {t: {action: std.echo output=1}}}")
        run.wait()
        assert Flows(second).ok("GET", f"/executions/{run.id}")["state"] == "SUCCESS"
        pids = [int(pid) for pid in re.findall(r"process (\d+)", tool.log.read_text())]
        assert len(pids) == 4
    finally:
        ended_by_itself = tool.stop()
    assert ended_by_itself, tool.log_tail()
    assert tool.popen is not None and tool.popen.returncode == 0, tool.log_tail()
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert (tmp_path / "run" / "engine-1.log").exists()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_component(unit: Path) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    command, *arguments = shlex.split(parser["Service"]["ExecStart"])
    assert processes.command_path(Path(command).name)
    component = arguments[arguments.index("--server") + 1]
    assert component in options.COMPONENTS
    assert unit.name.startswith(f"mistral-{component}")
    environment = parser["Service"].get("Environment", "")
    for group, option in re.findall(r"OS_([A-Z]+)__([A-Z_]+)=", environment):
        assert option.lower() in {opt.dest for opt in options.GROUPS[group.lower()]}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for unit in [*UNITS, ETC / "systemd" / "mistral.target"]:
        text = unit.read_text().replace("/opt/mistral/bin/mistral-server", "/bin/true")
        (tmp_path / unit.name.replace("@", "@1")).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # units of other packages may have faults of their own
    ours = [line for line in done.stderr.splitlines() if "mistral" in line]
    assert ours == []


def test_the_container_file_copies_what_there_is() -> None:
    text = (ETC / "Containerfile").read_text()
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M)
        for name in line.split()[:-1]
    ]
    assert copied and [name for name in copied if not (ROOT / name).exists()] == []
