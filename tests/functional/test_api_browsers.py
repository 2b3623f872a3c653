"""What browsers are made to send by other people's pages is refused; programs notice nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mistral.api.browsers import Hosts
from mistral.exceptions import ConfigurationError

DOCUMENT = "version: '2.0'\nw: {tasks: {t: {action: std.noop}}}\n"
HERE = "127.0.0.1:8989"
FORM = "application/x-www-form-urlencoded"

Ask = Callable[..., Any]


@pytest.fixture
def ask(make_api: Callable[..., Any], definitions: Any) -> Ask:
    """A client of a service at 127.0.0.1:8989."""
    api = make_api(hosts=Hosts.bound_to("127.0.0.1", 8989))
    return lambda method="GET", path="/v2", body=None, Host=HERE, **headers: api(
        method, path, body, Host=Host, **headers
    )


@pytest.mark.parametrize(
    "host", [HERE, "127.0.0.1", "localhost", "LOCALHOST:8989", "localhost.:80", "[::1]:8989"]
)
def test_own_names(ask: Ask, host: str) -> None:
    assert ask(Host=host).status_int == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8989",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "localhost:8989@evil.example",
        "evil.example/localhost",
        "localhost, evil.example",
        "192.0.2.1:8989",
        "0.0.0.0:8989",
        "[::2]",
        "localhost:port",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/v2", "/v2/workflows", "/healthcheck", "/nothing"])
def test_foreign_hosts(ask: Ask, host: str, path: str) -> None:
    refused = ask(path=path, Host=host)
    assert refused.status_int == 403
    assert "[api] allowed_hosts" in refused.json["faultstring"]


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:8989", "http://localhost:8989", "http://[::1]:8989"]
)
def test_own_pages(ask: Ask, origin: str) -> None:
    assert ask(Origin=origin, Sec_Fetch_Site="same-origin").status_int == 200


def test_own_pages_behind_a_forwarded_port(ask: Ask) -> None:
    assert ask(Host="localhost:9000", Origin="http://localhost:9000").status_int == 200
    assert ask(Host="localhost", Origin="https://localhost").status_int == 200
    assert ask(Host="localhost", Origin="http://localhost").status_int == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example:8989",
        "http://localhost:3000",
        "http://127.0.0.1",
        "null",
        "",
        "file://",
        "http://localhost:8989.evil.example",
        "http://localhost:8989@evil.example",
        "http://localhost:8989, http://evil.example",
        "chrome-extension://abc",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_foreign_pages(ask: Ask, definitions: Any, origin: str, method: str) -> None:
    body = DOCUMENT if method in ("POST", "PUT") else None
    refused = ask(method, "/v2/workflows", body, Origin=origin, Content_Type="text/plain")
    assert refused.status_int == 403
    assert "[cors] allowed_origin" in refused.json["faultstring"]
    assert definitions.mock_calls == []


def test_requests_across_sites(ask: Ask) -> None:
    assert ask(Sec_Fetch_Site="cross-site").status_int == 403
    assert ask(Sec_Fetch_Site="Cross-Site", Origin=f"http://{HERE}").status_int == 403
    for site in ("none", "same-origin", "same-site"):
        assert ask(Sec_Fetch_Site=site).status_int == 200


@pytest.mark.parametrize("origin", ["https://pages.example", "https://dash.example:8443"])
def test_pages_that_an_operator_welcomes(make_api: Callable[..., Any], origin: str) -> None:
    allowed = ("api.example", "dash.example:8443", "pages.example")
    api = make_api(hosts=Hosts.bound_to("127.0.0.1", 8989, allowed))
    headers = {"Origin": origin, "Sec_Fetch_Site": "cross-site"}
    assert api("GET", "/v2", Host="api.example:1234", **headers).status_int == 200
    assert api("GET", "/v2", Host="dash.example:1", **headers).status_int == 403
    headers["Origin"] = "https://dash.example"
    assert api("GET", "/v2", Host=HERE, **headers).status_int == 403


@pytest.mark.parametrize("entry", ["http://x.example", "x.example/", "*.example", "::1", "a b", ""])
def test_an_entry_that_names_no_host_is_a_mistake(entry: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\[api\] allowed_hosts: .* is no host"):
        Hosts.bound_to("127.0.0.1", 8989, ["good.example", entry])


def test_all_hosts(make_api: Callable[..., Any]) -> None:
    api = make_api(hosts=Hosts.bound_to("127.0.0.1", 8989, ["*"]))
    assert api("GET", "/v2", Host="any.example").status_int == 200


def test_cors(make_api: Callable[..., Any], definitions: Any) -> None:
    cors = {"allowed_origin": ["https://pages.example"], "allow_headers": ["Content-Type"]}
    api = make_api(hosts=Hosts.bound_to("127.0.0.1", 8989), cors=cors)
    headers = {"Origin": "https://pages.example", "Sec_Fetch_Site": "cross-site", "Host": HERE}
    asked = {"Access_Control_Request_Method": "POST"}
    preflight = api("OPTIONS", "/v2/workflows", **headers, **asked)
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://pages.example"
    answer = api("GET", "/v2", **headers)
    assert answer.status_int == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://pages.example"
    headers["Origin"] = "https://evil.example"
    assert api("GET", "/v2", **headers).status_int == 403
    assert "Access-Control-Allow-Origin" not in api("OPTIONS", "/v2", **headers, **asked).headers
    assert definitions.mock_calls == []


def test_the_host_that_a_proxy_was_asked_for(make_api: Callable[..., Any]) -> None:
    api = make_api(hosts=Hosts.bound_to("127.0.0.1", 8989, ["mistral.example"]), proxy_headers=True)
    forwarded = {"X_Forwarded_Host": "mistral.example", "X_Forwarded_Proto": "https"}
    answer = api("GET", "/v2", Host=HERE, Origin="https://mistral.example", **forwarded)
    assert answer.json["uri"] == "https://mistral.example/v2"
    evil = {"Forwarded": "host=evil.example;proto=https"}
    assert api("GET", "/v2", Host=HERE, **evil).status_int == 403


def test_without_a_proxy_forwarded_hosts_mean_nothing(ask: Ask) -> None:
    answer = ask(X_Forwarded_Host="evil.example", Forwarded="host=evil.example")
    assert answer.json["uri"] == f"http://{HERE}/v2"


def test_bound_to_all_addresses() -> None:
    hosts = Hosts.bound_to("0.0.0.0", 8989)
    for host in ("127.0.0.1", "127.0.0.2", "localhost", "::1"):
        assert hosts.has((host, None))
    for host in ("0.0.0.0", "::", "192.0.2.1", "224.0.0.1", "evil.example"):
        assert not hosts.has((host, None))
    assert not Hosts.bound_to("10.0.0.1", 8989).has(("10.0.0.2", None))
    assert Hosts.bound_to("mistral.example", 8989).has(("mistral.example", 80))


@pytest.mark.parametrize("kind", ["text/plain", FORM, "application/json", "x/y"])
def test_definitions_may_have_any_type(ask: Ask, definitions: Any, kind: str) -> None:
    """curl sends that of forms."""
    definitions.create_workflows.return_value = []
    assert ask("POST", "/v2/workflows", DOCUMENT, Content_Type=kind).status_int == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v2/workflows", DOCUMENT),
        ("POST", "/v2/workflows/validate", DOCUMENT),
        ("PUT", "/v2/workbooks", DOCUMENT),
        ("POST", "/v2/executions", '{"workflow_name": "w"}'),
        ("POST", "/v2/action_executions", '{"name": "std.noop"}'),
        ("PUT", "/maintenance", '{"status": "PAUSED"}'),
        ("DELETE", "/v2/workflows/w", "x"),
    ],
)
def test_a_body_needs_a_type(
    ask: Ask, definitions: Any, engine: Any, method: str, path: str, body: str
) -> None:
    refused = ask(method, path, body, Content_Type="")
    assert refused.status_int == 415
    assert "Content-Type" in refused.json["faultstring"]
    assert (definitions.mock_calls, engine.sent) == ([], [])


@pytest.mark.parametrize("kind", ["text/plain", FORM, "multipart/form-data; boundary=x"])
def test_what_pages_may_send_anywhere_is_no_json(ask: Ask, engine: Any, kind: str) -> None:
    body = '{"workflow_name": "w"}'
    assert ask("POST", "/v2/executions", body, Content_Type=kind).status_int == 415
    assert engine.sent == []


@pytest.mark.parametrize(
    ("path", "host"), [("/v2", HERE), ("/v2/nothing", HERE), ("/v2", "evil.example"), ("//", HERE)]
)
def test_browsers_do_not_guess(ask: Ask, path: str, host: str) -> None:
    assert ask(path=path, Host=host).headers["X-Content-Type-Options"] == "nosniff"


def test_links_begin_with_the_public_address(make_api: Callable[..., Any], stored: Any) -> None:
    api = make_api(public_url="https://mistral.example/workflows")
    base = "https://mistral.example/workflows/v2"
    assert api.get("/v2")["uri"] == base
    assert api.get("/")["versions"][0]["links"][0]["href"] == base
    execution = stored.execution()
    task = stored.task(execution)
    stored.action(task)
    assert api.get("/v2/executions?limit=1")["next"].startswith(f"{base}/executions?")
    for path in (f"/tasks/{task.id}/action_executions", f"/executions/{execution.id}/tasks"):
        assert api.get(f"/v2{path}?limit=1")["next"].startswith(base)


def test_what_an_operator_should_change_is_told(make_api: Callable[..., Any]) -> None:
    assert make_api().get("/healthcheck") == {"status": "OK"}
    told = make_api(remarks=("Close the door.",)).get("/healthcheck")
    assert told == {"status": "OK", "warnings": ["Close the door."]}
