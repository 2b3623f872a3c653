"""`std.http` and `std.mistral_http` against real servers."""

from __future__ import annotations

import dataclasses
import gzip
import json
import pathlib
import socket
import threading
from typing import Any

import pytest

from mistral.actions.egress import EgressOptions
from mistral.actions.egress_http import HARMLESS_HEADERS
from mistral.actions.http_actions import HTTPAction, MistralHTTPAction
from mistral.actions.http_content import decoded
from mistral.actions.services import ActionServices
from mistral_lib.actions import ActionContext, ActionException, ExecutionContext, Result

CONTEXT = ActionContext(
    execution=ExecutionContext(
        workflow_name="my_workflow",
        workflow_execution_id="wf-id",
        task_execution_id="task-id",
        action_execution_id="action-id",
        callback_url="http://mistral.example:8989",
    )
)


def run(action: HTTPAction, services: ActionServices, context: ActionContext = CONTEXT) -> Result:
    action.equip(services)
    return action.run(context)


def test_an_answer_is_described_completely(target: Any, open_services: ActionServices) -> None:
    result = run(HTTPAction(f"{target.url}/x", params={"q": "1"}), open_services)
    assert result.is_success()
    keys = "content status headers url history encoding reason cookies elapsed"
    assert set(result.data) == set(keys.split())
    assert result.data["status"] == 200
    assert result.data["content"] == {"path": "/x?q=1"}
    assert result.data["reason"] == "OK"
    assert result.data["headers"]["Content-Type"] == "application/json"
    json.dumps(result.data)


@pytest.mark.parametrize(
    ("status", "success"),
    [(200, True), (201, True), (299, True), (306, True), (307, False)]
    + [(308, False), (400, False), (404, False), (500, False)],
)
def test_which_statuses_succeed(
    target: Any, respond: Any, open_services: ActionServices, status: int, success: bool
) -> None:
    target.routes["/"] = respond(status, b'{"n": 1}')
    result = run(HTTPAction(target.url), open_services)
    assert result.is_success() is success
    answer = result.data if success else result.error
    assert (answer["status"], answer["content"]) == (status, {"n": 1})


def test_bodies(target: Any, open_services: ActionServices) -> None:
    run(HTTPAction(target.url, "POST", body={"a": 1}), open_services)
    run(HTTPAction(target.url, "PUT", json={"b": [2]}, headers={"X-Probe": 7}), open_services)
    run(HTTPAction(target.url, "post", body="räw"), open_services)
    first, second, third = target.requests
    assert (first.method, first.body) == ("POST", b'{"a": 1}')
    assert (second.method, second.body) == ("PUT", b'{"b": [2]}')
    assert second.headers["Content-Type"] == "application/json"
    assert second.headers["X-Probe"] == "7"
    assert (third.method, third.body) == ("POST", "räw".encode())


def test_body_and_json_exclude_each_other() -> None:
    with pytest.raises(ActionException, match="body"):
        HTTPAction("http://x", body="a", json={})


def test_credentials_and_cookies_are_sent(target: Any, open_services: ActionServices) -> None:
    run(HTTPAction(target.url, auth="user:pass:word", cookies={"c": 1}), open_services)
    assert target.requests[0].headers["Authorization"] == "Basic dXNlcjpwYXNzOndvcmQ="
    assert target.requests[0].headers["Cookie"] == "c=1"
    with pytest.raises(ActionException, match="user:password") as caught:
        HTTPAction("http://x", auth="hidden-word")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("timeout", [-1, "-0.5", "x", "nan", 1e10, [1], [1, -1], [1, 2, 3], {}])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(ActionException, match="'timeout' must be a number of seconds"):
        HTTPAction("http://x", timeout=timeout)


def test_text_stays_text(target: Any, respond: Any, open_services: ActionServices) -> None:
    target.routes["/"] = respond(
        200, "plain bödy".encode(), {"Content-Type": "text/plain; charset=utf-8"}
    )
    assert run(HTTPAction(target.url), open_services).data["content"] == "plain bödy"


def test_redirects_are_followed_unless_told(
    target: Any, respond: Any, open_services: ActionServices
) -> None:
    target.routes["/from"] = respond(302, b"{}", {"Location": "/to"})
    followed = run(HTTPAction(f"{target.url}/from"), open_services).data
    assert followed["content"] == {"path": "/to"}
    assert [step["status"] for step in followed["history"]] == [302]
    stayed = run(HTTPAction(f"{target.url}/from", allow_redirects=False), open_services).data
    assert stayed["status"] == 302


def test_endless_redirects_end(target: Any, respond: Any, open_services: ActionServices) -> None:
    target.routes["/loop"] = respond(302, b"", {"Location": "/loop"})
    with pytest.raises(ActionException, match="too many redirects"):
        run(HTTPAction(f"{target.url}/loop"), open_services)
    assert len(target.requests) < 15


def test_a_redirect_is_judged_again(target: Any, respond: Any) -> None:
    services = ActionServices.with_egress(EgressOptions(denied_cidrs=("127.0.0.2/32",)))
    target.routes["/away"] = respond(302, b"", {"Location": f"http://127.0.0.2:{target.port}/in"})
    target.routes["/file"] = respond(302, b"", {"Location": "file:///etc/passwd"})
    with pytest.raises(ActionException, match="address is not allowed"):
        run(HTTPAction(f"{target.url}/away"), services)
    with pytest.raises(ActionException, match="only http and https"):
        run(HTTPAction(f"{target.url}/file"), services)
    assert [seen.path for seen in target.requests] == ["/away", "/file"]


def test_loopback_is_denied_by_default(target: Any) -> None:
    for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"):
        with pytest.raises(ActionException, match="not allowed|could not be resolved"):
            HTTPAction(f"http://{host}:{target.port}/").run(CONTEXT)
    assert target.requests == []


def test_only_allowed_hosts(target: Any) -> None:
    options = EgressOptions(denied_cidrs=(), allowed_hosts=("127.0.0.1",))
    services = ActionServices.with_egress(options)
    assert run(HTTPAction(target.url), services).is_success()
    with pytest.raises(ActionException, match="host is not allowed"):
        run(HTTPAction(f"http://localhost:{target.port}"), services)


def test_a_proxy_is_judged_too(target: Any, other_target: Any) -> None:
    proxies = {"http": other_target.url}
    open_one = ActionServices.with_egress(EgressOptions(denied_cidrs=()))
    assert run(HTTPAction("http://127.0.0.1:9/x", proxies=proxies), open_one).is_success()
    assert other_target.requests[0].path == "http://127.0.0.1:9/x"
    for proxy in ({"http": f"http://127.0.0.1:{target.port}"}, {"http": "socks5://127.0.0.1:1"}):
        with pytest.raises(ActionException, match="not allowed|only http"):
            HTTPAction("http://93.184.216.34/", proxies=proxy).run(CONTEXT)
    assert target.requests == []


def test_the_environment_of_the_process_is_not_used(
    target: Any, open_services: ActionServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert run(HTTPAction(target.url), open_services).is_success()


def test_large_answers_are_refused(
    target: Any, respond: Any, open_services: ActionServices
) -> None:
    def endless(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 10_000)

    bomb = gzip.compress(b"0" * 50_000_000)
    target.routes["/declared"] = respond(200, b"x" * 100_001)
    target.routes["/endless"] = endless
    target.routes["/bomb"] = respond(200, bomb, {"Content-Encoding": "gzip"})
    target.routes["/redirect"] = respond(302, b"x" * 100_001, {"Location": "/"})
    for path in ("/declared", "/endless", "/bomb", "/redirect"):
        with pytest.raises(ActionException, match="larger than 100000 bytes"):
            run(HTTPAction(target.url + path), open_services)
    assert run(HTTPAction(f"{target.url}/declared", "HEAD"), open_services).is_success()


def test_compressed_and_chunked_answers_are_read(
    target: Any, open_services: ActionServices
) -> None:
    def chunked(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        body = gzip.compress(json.dumps(list(range(5000))).encode())
        for start in range(0, len(body), 100):
            part = body[start : start + 100]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\n\r\n")

    target.routes["/"] = chunked
    assert run(HTTPAction(target.url), open_services).data["content"] == list(range(5000))


def test_a_slow_answer_times_out(target: Any, open_services: ActionServices) -> None:
    finish = threading.Event()
    target.routes["/slow"] = lambda handler: finish.wait(20)
    try:
        with pytest.raises(ActionException, match="Failed to send HTTP request: .*timed out"):
            run(HTTPAction(f"{target.url}/slow", timeout="0.2"), open_services)
    finally:
        finish.set()


def test_a_dripping_answer_ends(target: Any) -> None:
    finish = threading.Event()

    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not finish.wait(0.02):
            handler.wfile.write(b"x")

    target.routes["/"] = drip
    services = ActionServices.with_egress(EgressOptions(denied_cidrs=(), total_timeout=0.3))
    try:
        with pytest.raises(ActionException, match="took too long"):
            run(HTTPAction(target.url), services)
    finally:
        finish.set()


def test_failures_have_words_and_quote_nothing(open_services: ActionServices) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    secret = "s3cret"
    for url, words in (
        (f"http://127.0.0.1:{port}/?key={secret}", "connection was refused"),
        (f"http://no-such-host.invalid/?key={secret}", "could not be resolved"),
        (f"ftp://example.org/{secret}", "only http and https"),
        (f"no-scheme/{secret}", "no scheme"),
        (f"http://{'a' * 300}.example/{secret}", "name is not valid"),
        (f"http://[::1/{secret}", "URL is not valid"),
    ):
        with pytest.raises(ActionException, match="Failed to send HTTP request: ") as caught:
            run(HTTPAction(url, auth=f"u:{secret}", headers={"X": secret}), open_services)
        assert words in str(caught.value)
        assert secret not in str(caught.value)


def test_a_redirect_to_no_url_has_words(
    target: Any, respond: Any, open_services: ActionServices
) -> None:
    target.routes["/"] = respond(302, b"", {"Location": "http://[::1"})
    with pytest.raises(ActionException, match="the URL of a redirect, or another part of the answ"):
        run(HTTPAction(target.url), open_services)


def test_tls_failures_have_words(target: Any, open_services: ActionServices) -> None:
    with pytest.raises(ActionException, match="Failed to send HTTP request: "):
        run(HTTPAction(target.url.replace("http:", "https:"), timeout=2), open_services)


def test_the_seed_example_identifies_its_action(target: Any, open_services: ActionServices) -> None:
    action = MistralHTTPAction(
        target.url, params={"a": 1, "b": 2}, headers={"mistral-task-id": "forged", "X-Own": "1"}
    )
    assert not action.is_sync()
    assert run(action, open_services).is_success()
    seen = target.requests[0]
    assert seen.path == "/?a=1&b=2"
    assert {k: v for k, v in seen.headers.items() if k.lower().startswith("mistral-")} == {
        "Mistral-Workflow-Name": "my_workflow",
        "Mistral-Workflow-Execution-Id": "wf-id",
        "Mistral-Task-Id": "task-id",
        "Mistral-Action-Execution-Id": "action-id",
        "Mistral-Callback-URL": "http://mistral.example:8989",
    }
    assert seen.headers["X-Own"] == "1"


def test_headers_without_a_value_are_not_sent(target: Any, open_services: ActionServices) -> None:
    context = ActionContext(execution=ExecutionContext(action_execution_id="a"))
    run(MistralHTTPAction(target.url), open_services, context)
    names = {name for name in target.requests[0].headers if name.startswith("Mistral-")}
    assert names == {"Mistral-Action-Execution-Id"}


def test_names_beyond_latin_travel_as_utf8(target: Any, open_services: ActionServices) -> None:
    context = ActionContext(execution=ExecutionContext(workflow_name="поток"))
    run(MistralHTTPAction(target.url), open_services, context)
    sent = target.requests[0].headers["Mistral-Workflow-Name"]
    assert sent.encode("latin-1").decode() == "поток"


def test_the_callback_token_does_not_follow_a_redirect_to_another_host(
    target: Any, other_target: Any, respond: Any, open_services: ActionServices
) -> None:
    context = ActionContext(execution=ExecutionContext(callback_token="tok", workflow_name="w"))
    target.routes["/here"] = respond(307, b"", {"Location": "/there"})
    target.routes["/there"] = respond(307, b"", {"Location": other_target.url})
    run(MistralHTTPAction(f"{target.url}/here", "POST", body="x"), open_services, context)
    assert [s.headers.get("Mistral-Callback-Token") for s in target.requests] == ["tok", "tok"]
    elsewhere = other_target.requests[0]
    assert "Mistral-Callback-Token" not in elsewhere.headers
    assert (elsewhere.method, elsewhere.body) == ("POST", b"x")


def test_an_error_status_is_an_error_of_the_asynchronous_action_too(
    target: Any, respond: Any, open_services: ActionServices
) -> None:
    target.routes["/"] = respond(500, b'{"status": 500}')
    result = run(MistralHTTPAction(target.url), open_services)
    assert result.is_error()
    assert result.error["status"] == 500


def test_only_harmless_headers_follow_a_redirect_to_another_host(
    target: Any, other_target: Any, respond: Any, open_services: ActionServices
) -> None:
    target.routes["/"] = respond(307, b"", {"Location": f"{other_target.url}/one"})
    other_target.routes["/one"] = respond(307, b"", {"Location": "/two"})
    action = MistralHTTPAction(
        target.url,
        "POST",
        json={"a": 1},
        headers={"X-Api-Key": "k", "Private-Token": "t", "X-Anything": "x", "Accept": "a/b"},
        cookies={"session": "c"},
        auth="u:p",
    )
    run(action, open_services)
    first = target.requests[0].headers
    for name in ("X-Api-Key", "Cookie", "Authorization", "Mistral-Action-Execution-Id"):
        assert name in first
    assert [seen.path for seen in other_target.requests] == ["/one", "/two"]
    for seen in other_target.requests:
        assert {name.lower() for name in seen.headers} - {"host"} <= HARMLESS_HEADERS
        assert (seen.headers["Accept"], seen.headers["Content-Type"], seen.body) == (
            "a/b",
            "application/json",
            b'{"a": 1}',
        )


def test_the_url_of_a_result_shows_no_more_than_that_of_the_input(
    target: Any, respond: Any, open_services: ActionServices
) -> None:
    at = target.url.replace("//", "//ann:s3cr3t@")
    target.routes["/a"] = respond(302, b"", {"Location": "/b?token=t0k3n"})
    for url, params in ((f"{at}/a", None), (f"{target.url}/a", {"api_key": "k3y", "x": "1"})):
        data = run(HTTPAction(url, params=params), open_services).data
        told = json.dumps([data["url"], data["history"]])
        assert not {word for word in ("s3cr3t", "k3y", "t0k3n") if word in told}
        assert data["url"].endswith("/b?token=***")
    # where the request has none, what the other side says is its answer
    assert run(HTTPAction(f"{target.url}/a"), open_services).data["url"].endswith("/b?token=t0k3n")


def test_cookies_stay_on_their_host(
    target: Any, respond: Any, open_services: ActionServices
) -> None:
    target.routes["/"] = respond(302, b"", {"Location": "/next", "Set-Cookie": "own=1"})
    run(HTTPAction(target.url, cookies={"session": "c"}), open_services)
    assert set(target.requests[1].headers["Cookie"].split("; ")) == {"own=1", "session=c"}


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    ("charset", "letters"),
    [
        ("utf-8", "é"),
        ("iso-8859-1", "é"),
        ("ISO-8859-15", "€"),
        ("windows-1251", "Ж"),
        ("cp1252", "€"),
        ("GBK", "中"),
        ("Shift_JIS", "日"),
        ("euc-kr", "한"),
        ("koi8-r", "Ж"),
        ("utf-16", "é"),
        ("utf-32-be", "é"),
        ("utf-7", "é"),
        ("cp037", "é"),
    ],
)
def test_json_is_decoded_by_its_charset(
    target: Any,
    respond: Any,
    open_services: ActionServices,
    charset: str,
    letters: str,
    status: int,
) -> None:
    for word in (letters, "plain"):
        body = json.dumps({"k": word}, ensure_ascii=False).encode(charset)
        kind = {"Content-Type": f'application/json; charset="{charset}"'}
        target.routes["/"] = respond(status, body, kind)
        result = run(HTTPAction(target.url), open_services)
        assert (result.data or result.error)["content"] == {"k": word}


@pytest.mark.parametrize(
    ("kind", "body", "content"),
    [
        ("application/json", b'{"k": "caf\xe9"}', {"k": "caf\ufffd"}),
        ("application/json; charset=utf-8", b'\xef\xbb\xbf{"k": "caf\xe9"}', {"k": "caf\ufffd"}),
        ("application/json; charset=utf-16", '{"k": "café"}'.encode(), {"k": "café"}),
        ("application/json; charset=punycode", '{"k": "café"}'.encode(), {"k": "café"}),
        ("application/json; charset=no-such", '{"k": "café"}'.encode(), {"k": "café"}),
        ("application/json; charset=hex", b"7b7d", "7b7d"),
        ("application/json", '{"k": "café"}'.encode("utf-16"), {"k": "café"}),
        ("text/html", b'{"k": "caf\xe9"}', {"k": "café"}),
        ("text/html", '{"k": "café"}'.encode(), {"k": "café"}),
        ("text/html", b"caf\xe9", "café"),
        ("text/plain; charset=gbk", "中".encode("gbk"), "中"),
        ("", b"caf\xe9", "caf\ufffd"),
        # what can't be kept as it is stays text
        ("application/json", b'{"k": NaN}', '{"k": NaN}'),
        ("application/json", b"[1e999]", "[1e999]"),
        ("application/json", b"[" * 250 + b"]" * 250, "[" * 250 + "]" * 250),
        ("application/json", b"[" * 150 + b"]" * 150, json.loads("[" * 150 + "]" * 150)),
        ("application/json; charset=utf-16", "[Infinity]".encode("utf-16"), "[Infinity]"),
    ],
)
def test_what_is_declared_wrongly_is_read_as_far_as_possible(
    kind: str, body: bytes, content: Any
) -> None:
    assert decoded(body, kind) == content


def test_certificates_come_from_one_directory(
    target: Any, open_services: ActionServices, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "own.pem").write_text("no certificate")
    (tmp_path / "other.pem").write_text("no certificate")
    services = dataclasses.replace(open_services, ca_dir=tmp_path / "ca")
    url = target.url.replace("http:", "https:")
    for name, words in (
        ("../other.pem", r"outside of the configured directory.*\[action_std_http\] ca_dir"),
        ("/etc/passwd", "outside of the configured"),
        ("none.pem", "no such file"),
        ("", "must be true, false or the name"),
        (5, "must be true, false or the name"),
        ([], "must be true, false or the name"),
    ):
        with pytest.raises(ActionException, match=words):
            run(HTTPAction(url, verify=name), services)
    with pytest.raises(ActionException, match=r"no directory .*\[action_std_http\] ca_dir"):
        run(HTTPAction(url, verify="own.pem"), open_services)
    assert target.requests == []
    with pytest.raises(ActionException, match="Failed to send HTTP request: "):
        run(HTTPAction(url, verify="own.pem", timeout=2), services)
    assert run(HTTPAction(target.url, verify=False), open_services).is_success()
