"""Which parts of an action's input are secret, and what is shown instead."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mistral.actions.descriptors import ActionDescriptor, PythonActionDescriptor
from mistral.actions.email_action import SendEmailAction
from mistral.actions.http_actions import HTTPAction, MistralHTTPAction
from mistral.actions.secret_flow import shown_input
from mistral.actions.secret_inputs import by_name
from mistral.actions.secret_names import is_secret
from mistral.actions.ssh_actions import SSHAction, SSHProxiedAction
from mistral.actions.std_actions import EchoAction
from mistral.expressions import ExpressionOptions, Expressions
from mistral.lang import parse_action_list
from mistral_lib.actions import Action, SecretStr

EXPRESSIONS = Expressions.from_plugins(ExpressionOptions())


class Declared(Action):
    def __init__(self, host: str, pin: SecretStr, max_tokens: int = 0) -> None:
        pass

    def run(self, context: Any) -> None:
        pass


class Legacy(Action):
    def __init__(self, host, password=None, adminToken="", author=None, **rest):  # type: ignore[no-untyped-def]
        pass

    def run(self, context: Any) -> None:
        pass


HTTP = PythonActionDescriptor("std.http", HTTPAction)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "smtp_password",
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "X-Auth-Token",
        "X-API-Key",
        "authToken",
        "private_key",
        "SECRET",
        "APIKey",
        "access-token",
        "db_password_2",
        "authtoken",
    ],
)
def test_names_that_say_it(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "author",
        "max_tokens",
        "key",
        "private_key_filename",
        "tokenizer",
        "url",
        "",
        "-",
        "secrets_",
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize("action_class", [HTTPAction, MistralHTTPAction])
def test_what_is_secret_in_a_request(action_class: type[Action]) -> None:
    given = {
        "url": "https://ann:pw1@host/path?access_token=tk2&page=2",
        "method": "POST",
        "headers": {"Authorization": "Bearer tk3", "Accept": "x/y", "X-Auth-Token": 4444},
        "auth": "ann:pw5",
        "cookies": {"sid": "ck6"},
        "params": {"token": "tk7", "q": "shown"},
        "json": {"login": {"password": "pw8", "name": "ann"}, "list": [{"secret": "9"}, 10]},
        "proxies": {"https": "http://proxy:pw11@proxy.example:3128"},
        "timeout": 5,
    }
    hidden = PythonActionDescriptor("x", action_class).hide(given)
    assert hidden.shown == {
        "url": "https://ann:***@host/path?access_token=***&page=2",
        "method": "POST",
        "headers": {"Authorization": "***", "Accept": "x/y", "X-Auth-Token": "***"},
        "auth": "***",
        "cookies": "***",
        "params": {"token": "***", "q": "shown"},
        "json": {"login": {"password": "***", "name": "ann"}, "list": [{"secret": "***"}, 10]},
        "proxies": {"https": "http://proxy:***@proxy.example:3128"},
        "timeout": 5,
    }
    assert {**hidden.shown, **hidden.secrets} == given
    assert "pw5" not in repr(hidden)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("user=ann&password=pw&x=1", "user=ann&password=***&x=1"),
        ('{"password": "p\\"w", "a": 1}', '{"password": "***", "a": 1}'),
        ('{"token":123,"a":"password"}', '{"token":"***","a":"password"}'),
        ("nothing = here, 1:2@3", "nothing = here, 1:2@3"),
    ],
)
def test_secrets_in_texts(body: str, shown: str) -> None:
    assert HTTP.hide({"url": "http://h", "body": body}).shown["body"] == shown


def test_what_holds_no_secret_stays_the_same_object() -> None:
    given = {"url": "http://h", "headers": {"Accept": ["a", {"b": "c"}]}, "json": [1, {"a": None}]}
    hidden = HTTP.hide(given)
    assert not hidden.secrets
    assert all(hidden.shown[name] is given[name] for name in given)


def test_nothing_is_no_secret() -> None:
    given = {"auth": None, "cookies": {}, "headers": {"Authorization": "", "Token": False}}
    assert HTTP.hide(given).shown == given


@pytest.mark.parametrize(
    ("action_class", "secrets"),
    [
        (SSHAction, {"password", "private_key"}),
        (SSHProxiedAction, {"password", "private_key"}),
        (SendEmailAction, {"smtp_password"}),
        (EchoAction, set()),
        (Declared, {"pin"}),
        (Legacy, {"password", "adminToken", "api_key"}),
    ],
)
def test_parameters_that_are_secret(action_class: type[Action], secrets: set[str]) -> None:
    descriptor = PythonActionDescriptor("x", action_class)
    names = [p.name for p in descriptor.signature.parameters] + ["api_key"] * (
        descriptor.signature.is_open
    )
    hidden = descriptor.hide(dict.fromkeys(names, "value"))
    assert set(hidden.secrets) == secrets
    assert {n for n, v in hidden.shown.items() if v == "***"} == secrets


def test_descriptors_of_other_providers_go_by_names() -> None:
    hidden = ActionDescriptor.hide(HTTP, {"password": "x", "url": "http://a:b@c"})
    assert hidden.shown == {"password": "***", "url": "http://a:b@c"}


@pytest.mark.parametrize(
    "text",
    [
        "//" * 300_000,
        "//a:" * 200_000,
        "a=" * 300_000,
        '"a":' * 200_000,
        '"token":"' + '\\"' * 300_000,
        '"' * 500_000,
        "?" + "a" * 500_000,
        '"a"' + " " * 500_000,
    ],
)
def test_a_hostile_text_is_read_in_linear_time(text: str) -> None:
    begun = time.process_time()
    by_name(text)
    assert time.process_time() - begun < 2


ADHOC = """
version: '2.0'
call:
  base: std.http
  base-input:
    url: <% $.url %>
    headers:
      Authorization: "Bearer <% $.ticket %>"
      X-Request: <% $.id %>
    auth: <% $.who + ':' + $.word %>
  input: [url, ticket, id, who, word: null]
around:
  base: call
  base-input: {url: <% $.target %>, ticket: "<% $.t.toUpper() %>", id: "{{ _.n }}", who: ann}
  input: [target, t, n, creds]
"""
SPECS = {spec.name: spec for spec in parse_action_list(ADHOC, EXPRESSIONS)}


def test_an_adhoc_input_that_leads_to_a_secret_is_secret_itself() -> None:
    base = {
        "url": "http://h/",
        "headers": {"Authorization": "Bearer TICKET", "X-Request": "77"},
        "auth": "ann:pw",
    }
    hidden = HTTP.hide(base)
    one = {"url": "http://h/", "ticket": "TICKET", "id": "77", "who": "ann", "word": "pw"}
    assert shown_input([("call", SPECS["call"])], one, base, hidden) == {
        "url": "http://h/",
        "ticket": "***",
        "id": "77",
        "who": "***",
        "word": "***",
    }
    chain = [("around", SPECS["around"]), ("call", SPECS["call"])]
    two = {"target": "http://h/", "t": "ticket", "n": "77", "creds": {"x": ["ann:pw", 1]}}
    assert shown_input(chain, two, base, hidden) == {
        "target": "http://h/",
        "t": "***",
        "n": "77",
        "creds": {"x": ["***", 1]},
    }


def test_an_adhoc_input_without_secrets_is_shown() -> None:
    own = {"url": "http://h/", "ticket": "", "id": "1"}
    assert shown_input([("call", SPECS["call"])], own, own, HTTP.hide({"url": "http://h/"})) is own
