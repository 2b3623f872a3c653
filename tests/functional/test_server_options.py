"""What operators set: a service with other options than the usual one."""

from __future__ import annotations

import json
import re
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cluster
import processes
import pytest

from tests.lib.flows import Flows
from tests.lib.tls_proxy import make_certificate

SECTIONS: cluster.Sections = {
    "api": {
        "validation_mode": "enabled",
        "max_limit": 2,
        "allow_action_execution_deletion": True,
    },
    "engine": {
        "merge_strategy": "merge",
        "memory_limit_mb": 6000,
        "execution_field_size_limit_kb": 20,
        "action_definition_cache_time": 0,
    },
    "context_versioning": {"enabled": True, "hash_version_keys": False},
    "expressions": {"allowed_languages": "yaql"},
    "scheduler": {"fixed_delay": 0.5},
    "yaql": {"keyword_operator": "->", "iterable_dicts": True, "limit_iterators": 100},
}
NEST = "main:\n  tasks:\n    a: {action: std.noop, on-success: nowhere}\n"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cluster.Cluster]:
    """A service of its own."""
    run_dir = tmp_path_factory.mktemp("options")
    url = f"sqlite:///{run_dir / 'mistral.sqlite'}"
    sections: dict[str, dict[str, object]] = {}
    for part in (cluster.embedded_sections(processes.free_port(), url), SECTIONS):
        for group, options in part.items():
            sections.setdefault(group, {}).update(options)
    with cluster.Cluster(run_dir, sections) as installation:
        installation.prepare_database()
        installation.start("mistral", "all")
        installation.wait_ready()
        installation.wait_working()
        yield installation


@pytest.fixture
def flows(other: cluster.Cluster) -> Flows:
    return Flows(other.url)


def store_unchecked(flows: Flows, text: str) -> tuple[int, object]:
    path = f"/workflows?namespace={flows.namespace}&skip_validation="
    return flows.request("POST", path, f"version: '2.0'\n{text}")


def test_clients_may_skip_the_validation(flows: Flows) -> None:
    status, fault = flows.request(
        "POST", f"/workflows?namespace={flows.namespace}", f"version: '2.0'\n{NEST}"
    )
    assert (status, "nowhere" in fault["faultstring"]) == (400, True)
    assert store_unchecked(flows, NEST)[0] == 201
    run = flows.start().wait("ERROR")
    assert "nowhere" in run.info


def test_what_was_not_validated_fails_when_it_runs(flows: Flows) -> None:
    text = "main:\n  tasks:\n    a: {action: std.echo output=<% 1 + %>}\n"
    assert store_unchecked(flows, text)[0] == 201
    run = flows.start().wait("ERROR")
    assert "Syntax error in YAQL expression" in run.info


def test_a_language_that_is_not_allowed_is_refused_at_creation(flows: Flows) -> None:
    text = (
        "version: '2.0'\nmain:\n  tasks:\n    a: {action: std.echo, input: {output: \"{{ 1 }}\"}}\n"
    )
    status, fault = flows.request("POST", f"/workflows?namespace={flows.namespace}", text)
    assert status == 400
    assert "The expression language 'jinja' is not allowed here" in fault["faultstring"]


def test_a_language_that_is_not_allowed_is_refused_at_run_time(flows: Flows) -> None:
    text = 'main:\n  tasks:\n    a: {action: std.echo, input: {output: "{{ 1 }}"}}\n'
    assert store_unchecked(flows, text)[0] == 201
    run = flows.start().wait("ERROR")
    assert "The expression language 'jinja' is not allowed here" in run.info


def test_a_list_has_no_more_than_the_operator_allows(flows: Flows) -> None:
    flows.define("".join(f"w{i}: {{tasks: {{a: {{action: std.noop}}}}}}\n" for i in range(3)))
    for query in ("", "&limit=100"):
        page = flows.ok("GET", f"/workflows?namespace={flows.namespace}{query}")
        assert len(page["workflows"]) == 2
        assert "limit=2" in page["next"]


def test_action_executions_may_be_deleted(flows: Flows) -> None:
    body = {"name": "std.echo", "input": {"output": 1}, "params": {"save_result": True}}
    action = flows.ok("POST", "/action_executions", body)
    path = f"/action_executions/{action['id']}"
    processes.wait_until(lambda: flows.ok("GET", path)["state"] == "SUCCESS", "the action's end")
    assert flows.request("DELETE", path)[0] == 204
    assert flows.request("GET", path)[0] == 404
    assert flows.request("DELETE", path)[0] == 404


def test_mappings_are_merged_in_sequence_and_over_the_layers(flows: Flows) -> None:
    run = flows.run(
        """
        main:
          input: [m]
          output: {m: <% $.m %>}
          tasks:
            a: {action: std.noop, publish: {m: {a: {x: 1}}}, on-success: b}
            b: {action: std.noop, publish: {m: {a: {y: 2}, b: 1}}}
        """,
        {"m": {"own": True}},
    )
    assert run.output == {"m": {"own": True, "a": {"x": 1, "y": 2}, "b": 1}}


def test_the_limit_of_memory_is_set(other: cluster.Cluster) -> None:
    pid = other.processes["mistral"].service_pid
    limits = Path(f"/proc/{pid}/limits").read_text()
    found = re.search(r"Max data size +(\d+)", limits)
    assert found is not None
    assert int(found.group(1)) == 6000 * 1024 * 1024


def test_messages_in_outputs_are_cut_to_the_limit_of_fields(flows: Flows) -> None:
    run = flows.launch("main:\n  tasks:\n    a: {action: std.async_noop}\n")
    assert run.put(state="CANCELLED", state_info="é" * 70000)[0] == 200
    run.wait("CANCELLED")
    assert run.info == "é" * 65500
    (text,) = run.output.values()
    assert text == "é" * len(text)
    assert 3000 < len(text) < 20 * 1024
    assert len(text.encode()) <= 20 * 1024


def test_a_field_above_the_limit_is_refused(flows: Flows) -> None:
    flows.define("main:\n  input: [x]\n  tasks:\n    a: {action: std.noop}\n")
    body = {"workflow_name": "main", "workflow_namespace": flows.namespace}
    status, fault = flows.request("POST", "/executions", body | {"input": {"x": "x" * 30000}})
    assert status == 400
    assert "Field size limit exceeded [class=WorkflowExecution, field=input" in fault["faultstring"]


def test_options_of_yaql(flows: Flows) -> None:
    run = flows.run(
        """
        main:
          output:
            keyword: <% dict(a -> 1) %>
            keys: <% {"b" -> 2}.select($) %>
          tasks:
            a: {action: std.noop}
        """
    )
    assert run.output == {"keyword": {"a": 1}, "keys": ["b"]}
    status, fault = flows.request(
        "POST",
        f"/workflows?namespace={flows.namespace}",
        f"version: '2.0'\nw{secrets.token_hex(2)}:\n  output: {{a: '<% dict(a => 1) %>'}}\n"
        "  tasks: {a: {action: std.noop}}\n",
    )
    assert (status, "Syntax error in YAQL" in fault["faultstring"]) == (400, True)
    flows.define(
        "big:\n  vars: {a: '<% range(1000).toList() %>'}\n  tasks: {a: {}}\n".replace(
            "{}", "{action: std.noop}"
        )
    )
    status, fault = flows.request(
        "POST", "/executions", {"workflow_name": "big", "workflow_namespace": flows.namespace}
    )
    assert (status, "100" in fault["faultstring"]) == (400, True)


def test_options_without_effect_are_told_once(other: cluster.Cluster) -> None:
    log = (other.run_dir / "mistral.log").read_text()
    (line,) = [line for line in log.splitlines() if "Options without effect" in line]
    assert "[engine] action_definition_cache_time" in line
    assert "[scheduler] fixed_delay" in line


def test_the_most_often_updated_value_wins_and_nobody_sees_the_counts(flows: Flows) -> None:
    run = flows.run(
        """
        main:
          tasks:
            start: {action: std.noop, publish: {x: 0}, on-success: [a, b1]}
            a: {action: std.noop, publish: {x: a}, on-success: j}
            b1: {action: std.noop, publish: {x: b1}, on-success: b2}
            b2: {action: std.noop, publish: {x: b2}, on-success: b3}
            b3: {action: std.noop, on-success: [pause, j]}
            j:
              join: all
              action: std.echo output=<% $ %>
              publish: {seen: <% task().result.x %>}
        """,
        ends="PAUSED",
    )
    assert run.put(state="RUNNING")[0] == 200
    assert run.wait().output == {"x": "b2", "seen": "b2"}
    (row,) = flows.ok("GET", f"/executions/{run.id}/tasks?name=j")["tasks"]
    task = flows.ok("GET", f"/tasks/{row['id']}")
    assert json.loads(task["result"]) == {
        "x": "b2",
        "__execution": {"id": run.id},
        "__task_execution": {"id": row["id"], "name": "j"},
        "__env": {},
    }
    assert json.loads(task["published"]) == {"seen": "b2"}


def test_the_api_is_served_over_https(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    port = processes.free_port()
    sections = cluster.embedded_sections(port, f"sqlite:///{tmp_path / 'mistral.sqlite'}")
    sections["api"]["enable_ssl_api"] = True
    sections["ssl"] = {"cert_file": certificate, "key_file": key}
    trusted = ssl.create_default_context(cafile=str(certificate))
    trusted.check_hostname = False

    def answer() -> dict[str, object] | None:
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/v2/", context=trusted) as found:
                document: dict[str, object] = json.load(found)
                return document
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
            return None

    with cluster.Cluster(tmp_path / "run", sections) as installation:
        installation.prepare_database()
        installation.start("mistral", "api,engine")
        found = processes.wait_until(answer, "the API answers over HTTPS", 30)
        assert found["uri"] == f"https://127.0.0.1:{port}/v2"
