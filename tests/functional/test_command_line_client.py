"""The unmodified command line client against the service: it prints what it should."""

from __future__ import annotations

import json
import subprocess
import textwrap
from pathlib import Path

import processes
import pytest
from flows import Execution, Flows

pytestmark = pytest.mark.usefixtures("embedded")


class Client:
    """The installed ``mistral`` command."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory

    def file(self, name: str, text: str) -> str:
        """A file with a definition."""
        path = self._directory / name
        path.write_text(textwrap.dedent(text))
        return str(path)

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """What a command prints."""
        done = subprocess.run(
            [processes.command_path("mistral"), "--os-mistral-url", f"{self._url}/v2", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=processes.clean_environment(),
            cwd=self._directory,
            timeout=60,
            check=False,
            text=True,
        )
        assert done.returncode == status, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done.stdout

    def rows(self, *arguments: str) -> list[dict[str, str]]:
        """What a command prints, as JSON."""
        found = json.loads(self(*arguments, "-f", "json"))
        return found if isinstance(found, list) else [found]


@pytest.fixture
def client(flows: Flows, tmp_path: Path) -> Client:
    """The client of the embedded service."""
    return Client(flows.url, tmp_path)


def test_the_life_of_an_execution(client: Client, flows: Flows) -> None:
    name = f"cli_{flows.namespace.replace('-', '_')}"
    text = f"""
    version: '2.0'
    {name}:
      input: [a: 1]
      output: {{sum: <% $.sum %>}}
      tasks:
        one_plus_two: {{action: std.async_noop, publish: {{sum: <% task().result + $.a %>}}}}
    """
    path = client.file("wf.yaml", text)
    assert json.loads(client("workflow-validate", path, "-f", "json"))["Valid"] is True
    (created,) = client.rows("workflow-create", path)
    assert created["Name"] == name
    assert name in [row["Name"] for row in client.rows("workflow-list")]
    assert client.rows("workflow-get", name)[0]["ID"] == created["ID"]

    (execution,) = client.rows("execution-create", name, '{"a": 0}', "-d", "by hand")
    assert (execution["State"], execution["Description"]) == ("RUNNING", "by hand")
    execution_id = execution["ID"]
    (task,) = client.rows("task-list", execution_id)
    run = Execution(flows, execution_id)
    run.wait_actions("one_plus_two")
    (action,) = client.rows("action-execution-list", task["ID"])
    arguments = ("--state", "SUCCESS", "--output", "3")
    (updated,) = client.rows("action-execution-update", action["ID"], *arguments)
    assert updated["State"] == "SUCCESS"
    run.wait()
    assert client.rows("execution-get", execution_id)[0]["State"] == "SUCCESS"
    assert json.loads(client("task-get-result", task["ID"])) == 3
    assert json.loads(client("execution-get-output", execution_id)) == {"sum": 3}
    assert json.loads(client("action-execution-get-output", action["ID"])) == {"result": 3}
    assert execution_id in [row["ID"] for row in client.rows("execution-list")]
    assert "SUCCESS" in client("execution-get-report", execution_id, "--no-errors-only")
    client("execution-delete", execution_id)
    client("workflow-delete", name)
    client("workflow-get", name, status=1)


def test_steering_and_single_actions(client: Client, flows: Flows) -> None:
    shown = client("run-action", "std.echo", '{"output": "Hi"}')
    assert shown.strip() == '{"result": "Hi"}'
    flows.define("""
    main:
      tasks: {t: {action: <% env().action %>}}
    """)
    run = flows.start("main", env={"action": "std.async_noop"})
    run.wait_actions("t")
    client("execution-update", run.id, "-s", "PAUSED")
    run.wait("PAUSED")
    client("execution-update", run.id, "-s", "RUNNING", "-e", '{"action": "std.noop"}')
    run.wait("RUNNING")
    (action,) = run.wait_actions("t")
    client("action-execution-update", action, "--state", "ERROR")
    run.wait("ERROR")
    client("task-rerun", run.tasks("t")[0]["id"])
    run.until(lambda: run.state == "SUCCESS", "the rerun succeeds")
