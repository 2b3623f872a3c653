"""Behind ``tools/measure-waiting``: does memory grow with the number of waiting actions?

Starts API, one engine and one executor on PostgreSQL (or MariaDB) and RabbitMQ, lets workflows
start asynchronous actions that nobody completes, and prints the resident memory of engine and
executor while their number rises. Everything goes the usual way: each action is created, sent, run
and signalled. At the end one action is completed, to see that the service still takes results.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

import cluster
import processes
import services
import sqlalchemy as sa
import tool_options

NAME = "waiting"
WORKFLOW = f"""\
version: '2.0'
{NAME}:
  input: [count]
  tasks:
    wait:
      with-items: i in <% range($.count) %>
      action: std.async_noop
"""
STEPS = (0.01, 0.1, 0.25, 0.5, 0.75, 1.0)
TIMEOUT = 600.0
WAITING = sa.text(
    "SELECT count(*) FROM action_executions "
    "WHERE result_at IS NULL AND signalled_at IS NOT NULL AND next_look_at IS NULL"
)


def threads(process: processes.ManagedProcess) -> int:
    """How many threads a process has."""
    return len(list(Path(f"/proc/{process.pid}/task").iterdir()))


class Measurement:
    """One run on one installation."""

    def __init__(self, installation: cluster.Cluster, database: sa.Engine, batch: int) -> None:
        self._installation = installation
        self._database = database
        self._batch = batch
        self._started = 0

    def request(self, method: str, path: str, body: object) -> Any:
        """One call of the API that has to succeed."""
        status, answer = processes.http(
            method, f"{self._installation.url}/v2{path}", body, timeout=120.0
        )
        if status >= 300:
            raise processes.ClusterError(f"{method} /v2{path} was answered {status}: {answer}")
        return answer

    def waiting(self) -> int:
        """How many actions wait for a third party."""
        with self._database.connect() as conn:
            return int(conn.execute(WAITING).scalar() or 0)

    def raise_to(self, count: int) -> None:
        """Start executions until so many actions wait."""
        while self._started < count:
            size = min(self._batch, count - self._started)
            body = {"workflow_name": NAME, "input": {"count": size}}
            self.request("POST", "/executions", body)
            self._started += size
            # not faster than they are handled: this measures waiting, not queues
            self._wait_for(self._started - 2 * self._batch)
        self._wait_for(count)

    def _wait_for(self, count: int) -> None:
        processes.wait_until(lambda: self.waiting() >= count, f"{count} actions wait", TIMEOUT)

    def row(self) -> str:
        """One line of the table."""
        cells = [f"{self.waiting():>16,}"]
        for name in ("engine", "executor"):
            process = self._installation.processes[name]
            cells += [f"{process.resident_mb():>9.1f} MB", f"{threads(process):>4}"]
        return "  ".join(cells)

    def complete_one(self) -> None:
        """Deliver a result to one of them."""
        with self._database.connect() as conn:
            one = sa.text("SELECT max(id) FROM action_executions WHERE result_at IS NULL")
            action_id = conn.execute(one).scalar()
        self.request("PUT", f"/action_executions/{action_id}", {"state": "SUCCESS", "output": 3})
        done = sa.text("SELECT processed FROM action_executions WHERE id = :id")

        def processed() -> bool:
            with self._database.connect() as conn:
                return bool(conn.execute(done, {"id": action_id}).scalar())

        processes.wait_until(processed, "a result is processed", 60.0)


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def measure(installation: cluster.Cluster, url: str, count: int, batch: int) -> None:
    """Fill and print."""
    database = sa.create_engine(url)
    measurement = Measurement(installation, database, batch)
    measurement.request("POST", "/workflows", WORKFLOW)
    heads = (f"{'waiting actions':>16}", f"{'engine':>12}", "thr.", f"{'executor':>12}", "thr.")
    say("  ".join(heads))
    say(measurement.row())
    for step in sorted({max(1, int(count * part)) for part in STEPS}):
        measurement.raise_to(step)
        say(measurement.row())
    measurement.complete_one()
    database.dispose()
    say("One of them was completed; the service goes on.")


def main() -> int:
    """Exit status 0 when all of it was measured."""
    options = tool_options.measure_waiting().parse_args()
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(processes.ended_by_signals())
            database = services.Service.find(options.database)
            broker = services.Service.find("rabbitmq")
            url = stack.enter_context(database.new_database())
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="mistral-waiting-"))
            sections = cluster.broker_sections(
                processes.free_port(), url, broker.url, f"_{secrets.token_hex(4)}"
            )
            installation = stack.enter_context(cluster.Cluster(Path(directory), sections))
            installation.prepare_database()
            installation.start_engine("engine")
            installation.start_executor("executor")
            installation.start("api", "api")
            installation.wait_ready()
            installation.wait_working()
            measure(installation, url, options.count, options.batch)
    except (processes.ClusterError, services.ServiceMissing, OSError) as error:
        sys.stderr.write(f"measure-waiting: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
