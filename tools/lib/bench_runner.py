"""Behind ``tools/bench``: start an installation, run a benchmark script against it, stop it.

The script gets ``--url``, ``--label`` and ``--server @DIR`` (a directory with the processes' pid
files), for the shape 'rabbit' also ``--db`` and ``--broker`` (patterns of those servers' command
lines); options that this program does not know go on to it. The database is made for the run and
dropped afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cluster
import processes
import services
import tool_options

ROOT = Path(__file__).resolve().parents[2]
# what the servers' command lines look like, for the script's CPU figures
PROCESSES = {
    "postgresql": "~bin/postgres",
    "mariadb": "~bin/(mariadbd|mysqld)",
    "rabbitmq": r"~bin/beam\.smp",
    "redis": "~redis-server",
}


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our options, and those of the benchmark script."""
    parser = tool_options.bench()
    options, rest = parser.parse_known_args(arguments)
    if options.broker == "redis" and options.rpc == "oslo":
        parser.error("Redis is only reached by --rpc kombu")
    if not options.bench.is_file():
        parser.error(f"there is no benchmark script at {options.bench}; give its path with --bench")
    return options, [argument for argument in rest if argument != "--"]


@contextlib.contextmanager
def started(
    options: argparse.Namespace, run_dir: Path
) -> Iterator[tuple[cluster.Cluster, list[str]]]:
    """The installation, working, and the script's options that belong to it."""
    port = processes.free_port()
    watched: list[str] = []
    with contextlib.ExitStack() as stack:
        if options.shape == "embedded":
            sections = cluster.embedded_sections(port, f"sqlite:///{run_dir / 'mistral.sqlite'}")
        else:
            database = services.Service.find(options.database)
            broker = services.Service.find(options.broker)
            url = stack.enter_context(database.new_database())
            suffix = f"_{secrets.token_hex(4)}"
            stack.enter_context(broker.forgotten_names(f"mistral{suffix}"))
            sections = cluster.broker_sections(port, url, broker.url, suffix, options.rpc)
            watched = ["--db", PROCESSES[options.database]]
            watched += ["--broker", PROCESSES[options.broker]]
        installation = stack.enter_context(cluster.Cluster(run_dir, sections))
        installation.prepare_database()
        if options.shape == "embedded":
            installation.start("mistral", "all")
        else:
            installation.start_all(options.engines, options.executors)
        installation.wait_ready()
        installation.wait_working()
        yield installation, watched


def run(options: argparse.Namespace, rest: list[str], run_dir: Path) -> int:
    """Exit status of the benchmark script."""
    sys.stdout.write(f"Starting the shape '{options.shape}' in {run_dir} ...\n")
    sys.stdout.flush()
    with started(options, run_dir) as (installation, watched):
        command = [sys.executable, str(options.bench), "--url", installation.url]
        command += ["--label", options.shape, "--server", f"@{run_dir}", *watched, *rest]
        script = subprocess.Popen(command)
        try:
            status = script.wait()
        finally:
            if script.poll() is None:
                script.terminate()
                script.wait()
        installation.require_alive()
        return status


def main() -> int:
    """Run it; errors of the set-up are one line and status 2."""
    options, rest = parse(sys.argv[1:])
    try:
        with processes.ended_by_signals(), contextlib.ExitStack() as stack:
            run_dir = options.run_dir or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="mistral-bench-"))
            )
            run_dir.mkdir(parents=True, exist_ok=True)
            return run(options, rest, run_dir.resolve())
    except KeyboardInterrupt:
        return 130
    except (processes.ClusterError, services.ServiceMissing, OSError) as error:
        sys.stderr.write(f"tools/bench: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
