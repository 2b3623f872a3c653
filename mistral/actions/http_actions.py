"""`std.http` and its asynchronous version (doc:language/standard_actions#std-http)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import requests

from mistral.actions import http_content
from mistral.actions.base import ServicedAction
from mistral.actions.egress_http import HTTPRequest
from mistral.actions.files import file_within
from mistral.actions.secret_inputs import by_name
from mistral_lib.actions import ActionContext, ActionException, Result, Secret

_Whole, _Named = Secret(), Secret(by_name=True)
_MAX_SECONDS = 1e9

SUCCESS_STATUSES = range(200, 307)


class HTTPAction(ServicedAction):
    """Sends an HTTP request and returns the answer."""

    def __init__(
        self,
        url: Annotated[str, _Named],
        method: str = "GET",
        params: Annotated[Any, _Named] = None,
        body: Annotated[Any, _Named] = None,
        json: Annotated[Any, _Named] = None,
        headers: Annotated[Mapping[str, Any] | None, _Named] = None,
        cookies: Annotated[Mapping[str, Any] | None, _Whole] = None,
        auth: Annotated[Any, _Whole] = None,
        timeout: Any = None,
        allow_redirects: bool | None = None,
        proxies: Annotated[Mapping[str, str] | None, _Named] = None,
        verify: bool | str | None = None,
    ) -> None:
        if body is not None and json is not None:
            raise ActionException("Only one of the parameters 'body' and 'json' may be given.")
        self.url = url
        self.method = method
        self.params = params
        self.body = _body_text(body)
        self.json = json
        self.headers = _headers(headers)
        self.cookies = cookies
        self.auth = _basic_auth(auth)
        self.timeout = _timeout(timeout)
        self.allow_redirects = allow_redirects
        self.proxies = proxies
        self.verify = _verify(verify)

    def run(self, context: ActionContext) -> Result:
        response = self.services.http.send(
            HTTPRequest(
                url=str(self.url),
                method=str(self.method or "GET").upper(),
                params=self.params,
                data=None if self.body is None else self.body.encode(),
                json=self.json,
                headers={name: _header_text(text) for name, text in self.headers.items()},
                cookies={k: str(v) for k, v in (self.cookies or {}).items()},
                auth=(self.auth[0], self.auth[1]) if self.auth else None,
                timeout=self.timeout,
                allow_redirects=self.allow_redirects is None or bool(self.allow_redirects),
                proxies=self.proxies,
                verify=self._certificates(),
            )
        )
        answer = answer_of(response, self.services.http.guard.options.max_json_containers)
        if response.status_code in SUCCESS_STATUSES:
            return Result(data=answer)
        return Result(error=answer)

    def _certificates(self) -> bool | str:
        if isinstance(self.verify, bool):
            return self.verify
        option = "[action_std_http] ca_dir"
        return str(file_within(self.services.ca_dir, self.verify, "file of certificates", option))


class MistralHTTPAction(HTTPAction):
    """Sends an HTTP request; the result is delivered later, through the API, by the other side.

    The request's headers say whose result it is and where to deliver it.
    """

    def run(self, context: ActionContext) -> Result:
        execution = context.execution
        own = {
            "Mistral-Workflow-Name": execution.workflow_name,
            "Mistral-Workflow-Execution-Id": execution.workflow_execution_id,
            "Mistral-Task-Id": execution.task_execution_id,
            "Mistral-Action-Execution-Id": execution.action_execution_id,
            "Mistral-Callback-URL": execution.callback_url,
            "Mistral-Callback-Token": execution.callback_token,
        }
        replaced = {name.lower() for name in own}
        kept = {k: v for k, v in self.headers.items() if k.lower() not in replaced}
        self.headers = kept | {name: text for name, text in own.items() if text is not None}
        return super().run(context)

    def is_sync(self) -> bool:
        return False


def answer_of(response: requests.Response, containers: int) -> dict[str, Any]:
    """The action's result: the answer as plain data.

    Its URLs hide what that of the input does: they repeat it.
    """
    asked = (response.history or [response])[0].url
    shown = by_name if by_name(asked) is not asked else str
    return {
        "content": http_content.decoded(
            response.content, response.headers.get("Content-Type", ""), containers
        ),
        "status": response.status_code,
        "headers": dict(response.headers.items()),
        "url": shown(response.url),
        "history": [
            {"status": step.status_code, "url": shown(step.url), "reason": step.reason}
            for step in response.history
        ],
        "encoding": response.encoding,
        "reason": response.reason,
        "cookies": dict(response.cookies.items()),
        "elapsed": response.elapsed.total_seconds(),
    }


def _body_text(body: Any) -> str | None:
    return body if body is None or isinstance(body, str) else json.dumps(body)


def _headers(headers: Mapping[str, Any] | None) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise ActionException("The parameter 'headers' must be a mapping.")
    return {str(name): str(value) for name, value in headers.items() if value is not None}


def _header_text(text: str) -> str:
    """HTTP's headers are bytes: what Latin-1 can't express goes as UTF-8."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8").decode("latin-1")
    return text


def _verify(verify: Any) -> bool | str:
    if verify is None:
        return True
    if not isinstance(verify, (bool, str)) or verify == "":
        raise ActionException(
            "The parameter 'verify' must be true, false or the name of a file of certificates in "
            "the directory of [action_std_http] ca_dir."
        )
    return verify


def _basic_auth(auth: Any) -> list[str] | None:
    if not auth:
        return None
    parts = auth.split(":", 1) if isinstance(auth, str) else list(auth)
    if len(parts) != 2:
        raise ActionException("The parameter 'auth' must have the form 'user:password'.")
    return [str(part) for part in parts]


def _timeout(timeout: Any) -> float | tuple[float, float] | None:
    if timeout is None:
        return None
    try:
        if isinstance(timeout, (list, tuple)):
            connect, read = timeout
            return _seconds(connect), _seconds(read)
        return _seconds(timeout)
    except (TypeError, ValueError) as exc:
        raise ActionException("The parameter 'timeout' must be a number of seconds.") from exc


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds <= _MAX_SECONDS:
        raise ValueError(value)
    return seconds
