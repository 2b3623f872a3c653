#!/usr/bin/env python3
"""The third party of the asynchronous actions' example: a web service that adds two numbers.

``GET /?a=1&b=2`` is answered at once with 202; afterwards the sum is delivered to the callback that
the request's ``Mistral-*`` headers name. ``GET /by-hand?...`` only takes the request: a person will
deliver.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CALLBACK_TIMEOUT = 30


def say(text: str) -> None:
    """One line for whoever watches."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def deliver(headers: Message, result: int) -> None:
    """Tell Mistral the result, as any third party would."""
    action_id = headers["Mistral-Action-Execution-Id"]
    url = f"{headers['Mistral-Callback-URL']}/v2/action-executions/{action_id}"
    body = json.dumps({"state": "SUCCESS", "output": result})
    request = urllib.request.Request(
        url, data=body.encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    if "Mistral-Callback-Token" in headers:
        request.add_header("Mistral-Callback-Token", headers["Mistral-Callback-Token"])
    say(f"POST {url} {body}")
    try:
        with urllib.request.urlopen(request, timeout=CALLBACK_TIMEOUT) as response:
            say(f"-> {response.status}")
    except urllib.error.HTTPError as error:
        say(f"-> {error.code} {error.read().decode(errors='replace')}")
    except OSError as error:
        say(f"-> not delivered: {error}")


class SumHandler(BaseHTTPRequestHandler):
    """Takes orders; the work goes on after the answer."""

    def do_GET(self) -> None:
        """Take one order."""
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        say(f"GET {self.path}")
        for name, value in self.headers.items():
            if name.lower().startswith("mistral-"):
                secret = name.lower() == "mistral-callback-token"
                say(f"{name}: {'(hidden)' if secret else value}")
        try:
            result = int(query["a"]) + int(query["b"])
        except (KeyError, ValueError):
            self._answer(400, "give two whole numbers: ?a=1&b=2")
            return
        self._answer(202, "accepted")
        if url.path != "/by-hand" and "Mistral-Action-Execution-Id" in self.headers:
            threading.Thread(target=deliver, args=(self.headers, result), daemon=True).start()

    def _answer(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The handler prints its own lines."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Adds two numbers, asynchronously.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    server = ThreadingHTTPServer((options.host, options.port), SumHandler)
    say(f"listening on http://{options.host}:{server.server_port}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("bye")
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
