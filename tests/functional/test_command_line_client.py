"""Unmodified clients against the service: the command line's, its library's, openstacksdk's."""

from __future__ import annotations

import json
import subprocess
import textwrap
from pathlib import Path

import openstack.connection
import openstack.exceptions
import processes
import pytest
from mistralclient.api.v2.client import Client as Library

from tests.lib.flows import Execution, Flows

pytestmark = pytest.mark.usefixtures("embedded")


NEWEST_FIRST = ("--sort_keys", "created_at", "--sort_dirs", "desc")
"""The client asks for a page of 100, and the service is shared."""


class Client:
    """An installed command, with the options that lead it to the service."""

    def __init__(self, directory: Path, *command: str) -> None:
        self._command = [processes.command_path(command[0]), *command[1:]]
        self._directory = directory

    def file(self, name: str, text: str) -> str:
        """A file with a definition."""
        path = self._directory / name
        path.write_text(textwrap.dedent(text))
        return str(path)

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """What a command prints."""
        done = subprocess.run(
            [*self._command, *arguments],
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
    return Client(tmp_path, "mistral", "--os-mistral-url", f"{flows.url}/v2")


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
    assert name in [row["Name"] for row in client.rows("workflow-list", *NEWEST_FIRST)]
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


def test_the_library_encodes_twice_what_is_encoded(flows: Flows) -> None:
    library = Library(mistral_url=f"{flows.url}/v2")
    ran = library.action_executions.create("std.echo", '{"output": 1}')
    assert (ran.state, json.loads(ran.output)) == ("SUCCESS", {"result": 1})
    flows.define("main: {input: [a], output: {a: <% $.a %>}, tasks: {t: {action: std.noop}}}")
    started = library.executions.create(
        wf_identifier="main", namespace=flows.namespace, workflow_input='{"a": 7}'
    )
    assert Execution(flows, started.id).wait().row["output"] == {"a": 7}


def test_the_plugin_of_the_openstack_command(flows: Flows, tmp_path: Path) -> None:
    endpoint = ("--os-auth-type", "none", "--os-endpoint", f"{flows.url}/v2")
    client = Client(tmp_path, "openstack", *endpoint)
    name = f"osc_{flows.namespace.replace('-', '_')}"
    path = client.file(
        "wf.yaml", f"{{version: '2.0', {name}: {{tasks: {{t: {{action: std.noop}}}}}}}}"
    )
    (created,) = client.rows("workflow", "create", path)
    assert created["Name"] == name
    assert name in [row["Name"] for row in client.rows("workflow", "list", *NEWEST_FIRST)]
    (started,) = client.rows("workflow", "execution", "create", name)
    Execution(flows, started["ID"]).wait()


@pytest.mark.parametrize("ending", ["/v2", "/v2/"])
def test_openstacksdk_finds_the_service_and_drives_it(flows: Flows, ending: str) -> None:
    connection = openstack.connection.Connection(
        auth_type="none", endpoint=flows.url + ending, workflow_endpoint_override=flows.url + ending
    )
    proxy = connection.workflow
    name = f"sdk_{flows.namespace.replace('-', '_')}"
    text = f"{{version: '2.0', {name}: {{input: [a], tasks: {{t: {{action: std.noop}}}}}}}}"
    proxy.create_workflow(definition=text)
    found = proxy.find_workflow(name)
    assert (found.name, found.scope) == (name, "private")
    assert name in [each.name for each in proxy.workflows()]
    proxy.update_workflow(found.id, definition=text.replace("[a]", "[b]"))
    assert proxy.get_workflow(found.id).input == "b"
    started = proxy.create_execution(workflow_name=name, input={"b": 1}, description="d")
    ended = proxy.wait_for_status(started, "SUCCESS", failures=["ERROR"], interval=0.1, wait=20)
    assert (ended.status, json.loads(ended.input)) == ("SUCCESS", {"b": 1})
    assert started.id in [each.id for each in proxy.executions()]
    proxy.delete_execution(started.id, ignore_missing=False)
    assert proxy.find_execution(started.id) is None
    proxy.delete_workflow(name, ignore_missing=False)
    with pytest.raises(openstack.exceptions.HttpException, match="'cron_triggers'"):
        list(proxy.cron_triggers())
