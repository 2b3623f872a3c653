"""The options of the tools: needs nothing but Python, so that ``--help`` works on a fresh clone."""

from __future__ import annotations

import argparse
import ast
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

LIB = Path(__file__).resolve().parent
DEFAULT_BENCH = LIB.parents[2] / "shared" / "bench" / "bench.py"
USUAL_PORT = 8989
#: Engines take an executor's silence of so many seconds for its death.
SILENCE = 6.0


def _parser(name: str, module: str) -> argparse.ArgumentParser:
    """A parser that tells what the module behind a tool says of itself."""
    text = (LIB / f"{module}.py").read_text(encoding="utf-8")
    return argparse.ArgumentParser(
        prog=f"tools/{name}",
        description=ast.get_docstring(ast.parse(text)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def bench() -> argparse.ArgumentParser:
    """Options of ``tools/bench``."""
    parser = _parser("bench", "bench_runner")
    add = parser.add_argument
    add(
        "--shape",
        choices=("embedded", "rabbit"),
        default="embedded",
        help="one process with SQLite, or api, engines and executors on a database and a broker",
    )
    add(
        "--database",
        choices=("postgresql", "mariadb"),
        default="postgresql",
        help="database of the shape 'rabbit' (default postgresql)",
    )
    add(
        "--rpc",
        choices=("oslo", "kombu"),
        default="oslo",
        help="what talks to the broker of the shape 'rabbit' (default oslo)",
    )
    add(
        "--broker",
        choices=("rabbitmq", "redis"),
        default="rabbitmq",
        help="broker of the shape 'rabbit' (default rabbitmq; redis needs --rpc kombu)",
    )
    add("--engines", type=int, default=2, help="engine processes of 'rabbit' (default 2)")
    add("--executors", type=int, default=2, help="executor processes of 'rabbit' (default 2)")
    add("--bench", type=Path, default=DEFAULT_BENCH, help="the benchmark script")
    add("--run-dir", type=Path, help="where configuration, logs and pid files go and stay")
    return parser


def cluster() -> argparse.ArgumentParser:
    """Options of ``tools/cluster``."""
    parser = _parser("cluster", "run_cluster")
    add = parser.add_argument
    add("--api", type=int, default=1, help="API processes (default 1)")
    add("--engines", type=int, default=2, help="engine processes (default 2)")
    add("--executors", type=int, default=2, help="executor processes (default 2)")
    add("--rpc", choices=("oslo", "kombu"), default="oslo", help="library behind the messages")
    add("--database", choices=("postgresql", "mariadb"), default="postgresql")
    add("--port", type=int, default=USUAL_PORT, help="of the first API (default 8989, if free)")
    add("--run-dir", type=Path, help="where configuration and logs go and stay")
    add("--private", action="store_true", help="start database server and broker in any case")
    return parser


def measure_waiting() -> argparse.ArgumentParser:
    """Options of ``tools/measure-waiting``."""
    parser = _parser("measure-waiting", "measure_waiting")
    add = parser.add_argument
    add("--count", type=int, default=100_000, help="how many actions wait at last")
    add("--batch", type=int, default=500, help="actions of one execution")
    add("--database", choices=("postgresql", "mariadb"), default="postgresql")
    return parser


def mutate() -> argparse.ArgumentParser:
    """Options of ``tools/mutate``."""
    parser = _parser("mutate", "mutate")
    add = parser.add_argument
    add("--sample", type=int, default=300, help="how many mutants (default 300)")
    add("--seed", type=int, default=7, help="chooses them (default 7)")
    add("--module", default="", metavar="TEXT", help="only modules with this in their path")
    add(
        "--only",
        metavar="STAGES",
        help="of the stages pure, simulation, language and functional only these (a,b)",
    )
    add("--seeds", type=int, default=40, help="of the stage 'simulation' (default 40)")
    add("--first-seed", type=int, default=0, help="the first of them (default 0)")
    add("--jobs", type=int, default=2, help="mutants at a time (default 2)")
    add("--results", type=Path, default=Path("mutants.jsonl"), help="where results are appended")
    add("--no-check", action="store_true", help="do not first run the stages without a mutant")
    add("--show", type=int, metavar="N", help="show the first N mutants of the sample, run none")
    return parser


def soak() -> argparse.ArgumentParser:
    """Options of ``tools/soak``."""
    parser = _parser("soak", "soak")
    add = parser.add_argument
    add("--minutes", type=float, default=5.0, help="how long (default 5)")
    add("--seed", type=int, default=secrets.randbelow(1_000_000), help="repeats a run's decisions")
    add("--database", choices=("postgresql", "mariadb"), default="postgresql")
    add("--rpc", choices=("oslo", "kombu"), default="oslo", help="library behind the messages")
    add("--kills", type=int, help="kill -9, over all processes (default 10 a minute)")
    add("--stops", type=int, help="SIGSTOPs of engines and executors (default 1 in 3 minutes)")
    add("--stop-seconds", type=float, default=SILENCE + 2, help="how long each of them lasts")
    add("--broker-restarts", type=int, default=0, help="restarts of a private, emptied RabbitMQ")
    add("--heartbeat", metavar="SECONDSxMISSED", help="[action_heartbeat], for example 2x3")
    add("--rate", type=float, default=3.0, help="starts a second (default 3)")
    add("--limit", type=int, default=200, help="most executions under way (default 200)")
    add("--apis", type=int, default=2)
    add("--engines", type=int, default=3)
    add("--executors", type=int, default=3)
    add("--report", type=Path, help="where the report goes as JSON")
    add("--run-dir", type=Path, help="where configuration and logs go and stay")
    return parser


PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "bench": bench,
    "cluster": cluster,
    "measure-waiting": measure_waiting,
    "mutate": mutate,
    "soak": soak,
}

if __name__ == "__main__":
    PARSERS[sys.argv[1]]().print_help()
