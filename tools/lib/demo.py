"""The demonstration behind ``tools/demo``: one asynchronous action, completed twice.

First by a web service that calls back, then by a person with the command line client. Everything is
done as a user does it: the installed commands, the REST API, the unmodified client. Standard
library only.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import cluster
import processes

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
API_PORT = 8989
STATE_TIMEOUT = 60.0
CLIENT_TIMEOUT = 60.0
EXPECTED = 3

WORKFLOW = """\
---
  version: '2.0'

  {name}:
    tasks:
      one_plus_two:
        action: mistral_http url={url}
        input:
          params:
            a: 1
            b: 2
"""


def say(text: str = "") -> None:
    """One line for the user, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def title(text: str) -> None:
    """A heading."""
    say(f"\n=== {text}")


def indented(text: str) -> str:
    """Text as a quotation."""
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())


class Demo:
    """One run, on one cluster."""

    def __init__(self, installation: cluster.Cluster, service_port: int) -> None:
        self.installation = installation
        self.service_url = f"http://127.0.0.1:{service_port}"
        self.service_log = installation.run_dir / "sum-service.log"

    def request(self, method: str, path: str, body: object | None = None) -> Any:
        """One call of the REST API that has to succeed."""
        status, answer = processes.http(method, f"{self.installation.url}/v2{path}", body)
        if status >= 300:
            raise processes.ClusterError(f"{method} /v2{path} was answered {status}: {answer}")
        return answer

    def start_services(self) -> None:
        """The database, Mistral and the web service."""
        title("Starting")
        say("Creating the SQLite database ...")
        self.installation.prepare_database()
        say("Starting Mistral, all components in one process ...")
        self.installation.start("mistral", "all")
        port = self.service_url.rpartition(":")[2]
        say("Starting the example web service that adds two numbers ...")
        self.installation.start_command(
            "sum-service", [sys.executable, str(EXAMPLES / "sum_service.py"), "--port", port]
        )
        self.installation.wait_ready()
        processes.wait_until(
            lambda: "listening" in self.service_log.read_text(), "the web service listens"
        )
        say(f"Mistral answers at {self.installation.url}/v2, the web service at {self.service_url}")

    def start_workflow(self, name: str, url: str) -> str:
        """Upload the example's workflow under this name, start it, return the execution's id."""
        text = WORKFLOW.format(name=name, url=url)
        say(f"The workflow:\n{indented(text)}")
        self.request("POST", "/workflows", text)
        execution = self.request("POST", "/executions", {"workflow_name": name})
        say(f"Started: execution {execution['id']} is {execution['state']}")
        return str(execution["id"])

    def wait_success(self, execution_id: str) -> None:
        """Wait until the execution ended, which has to be in SUCCESS."""

        def ended() -> dict[str, Any] | None:
            self.installation.require_alive()
            found: dict[str, Any] = self.request("GET", f"/executions/{execution_id}")
            return found if found["state"] not in ("RUNNING", "IDLE") else None

        execution = processes.wait_until(ended, "the execution ends", STATE_TIMEOUT)
        if execution["state"] != "SUCCESS":
            raise processes.ClusterError(
                f"The execution ended in {execution['state']}: {execution['state_info']}"
            )

    def show_result(self, execution_id: str) -> None:
        """Show the task's result, which has to be the sum."""
        task = self.request("GET", f"/executions/{execution_id}/tasks")["tasks"][0]
        result = self.request("GET", f"/tasks/{task['id']}")["result"]
        say(f"Execution {execution_id}: SUCCESS; result of task {task['name']}: {result}")
        if result != str(EXPECTED):
            raise processes.ClusterError(f"The result should be {EXPECTED}")

    def waiting_action(self, execution_id: str) -> str:
        """The id of the execution's action, once the third party was told about it."""

        def told() -> str | None:
            self.installation.require_alive()
            tasks = self.request("GET", f"/executions/{execution_id}/tasks")["tasks"]
            for task in tasks:
                path = f"/tasks/{task['id']}/action_executions"
                for action in self.request("GET", path)["action_executions"]:
                    if action["id"] in self.service_log.read_text():
                        return str(action["id"])
            return None

        found: str = processes.wait_until(
            told, "the request reaches the web service", STATE_TIMEOUT
        )
        return found

    def completed_by_service(self) -> None:
        """The web service delivers."""
        title("1. An asynchronous action, completed by a web service")
        seen = len(self.service_log.read_text())
        execution_id = self.start_workflow("my_workflow", self.service_url)
        self.wait_success(execution_id)
        processes.wait_until(
            lambda: "-> 200" in self.service_log.read_text()[seen:],
            "the callback's answer is there",
        )
        say(f"What the web service saw and did:\n{indented(self.service_log.read_text()[seen:])}")
        self.show_result(execution_id)

    def completed_by_person(self) -> None:
        """The web service keeps silent; the command line client delivers."""
        title("2. The same, completed by a person at a terminal")
        execution_id = self.start_workflow("my_workflow_by_hand", f"{self.service_url}/by-hand")
        action_id = self.waiting_action(execution_id)
        say(
            "The web service took the request and says nothing more; nobody waits for it in memory."
        )
        self.client("action-execution-update", action_id, "--state", "SUCCESS", "--output", "3")
        self.wait_success(execution_id)
        self.show_result(execution_id)

    def client(self, *arguments: str) -> None:
        """Run the real command line client and show what it prints."""
        shown = ["mistral", "--os-mistral-url", f"{self.installation.url}/v2", *arguments]
        say(f"$ {shlex.join(shown)}")
        done = subprocess.run(
            [processes.command_path("mistral"), *shown[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=processes.clean_environment(),
            timeout=CLIENT_TIMEOUT,
            check=False,
        )
        printed = done.stdout.decode(errors="replace")
        say(indented(printed))
        if done.returncode:
            raise processes.ClusterError(f"The client ended with status {done.returncode}")

    def stay(self) -> None:
        """Keep everything up until the user ends it."""
        url = self.installation.url
        client = f"{processes.command_path('mistral')} --os-mistral-url {url}/v2"
        title("It stays up; Ctrl-C ends it")
        say(f"Try:  curl {url}/v2/executions")
        say(f"      {client} execution-list")
        say(f"Logs: {self.installation.run_dir}")
        pause = threading.Event()
        while not pause.wait(1.0):
            self.installation.require_alive()


def run(options: argparse.Namespace) -> None:
    """The whole demonstration, in a directory that is removed at the end."""
    port = options.port or processes.free_port(API_PORT)
    with tempfile.TemporaryDirectory(prefix="mistral-demo-") as directory:
        run_dir = Path(directory)
        database = f"sqlite:///{run_dir / 'mistral.sqlite'}"
        sections = cluster.embedded_sections(port, database)
        with cluster.Cluster(run_dir, sections) as installation:
            demo = Demo(installation, processes.free_port())
            demo.start_services()
            try:
                demo.completed_by_service()
                demo.completed_by_person()
            except processes.ClusterError as error:
                tails = installation.log_tails()
                raise processes.ClusterError(f"{error}\n{tails}") from error
            title("It worked")
            if not options.once:
                demo.stay()


def main() -> int:
    """Exit status 0: it worked (or was ended by the user after it had)."""
    parser = argparse.ArgumentParser(description="Shows an asynchronous action from end to end.")
    parser.add_argument("--once", action="store_true", help="end after the demonstration")
    parser.add_argument(
        "--port", type=int, help=f"port of the API (default: {API_PORT}, or a free one)"
    )
    options = parser.parse_args()
    try:
        with processes.ended_by_signals():
            run(options)
    except KeyboardInterrupt:
        say("\nEnded.")
        return 130 if options.once else 0
    except (processes.ClusterError, OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"\nThe demonstration failed: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
