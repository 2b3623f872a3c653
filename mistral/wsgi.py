"""The REST API for WSGI servers: ``mistral.wsgi:application``.

The configuration is read at import, without a command line, so that a mistake in it stops the
server's start. The rest is built by the first request: servers that fork do it after the import,
and connections to the database and the broker do not survive that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from oslo_config import cfg

from mistral import config
from mistral.api.layers import WsgiApp
from mistral.cmd import assembly, remarks
from mistral.service import logs


class LazyApplication:
    """Builds the API when it is first asked something."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._lock = threading.Lock()
        self._app: WsgiApp | None = None

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        app = self._app or self._build()
        return app(environ, start_response)

    def _build(self) -> WsgiApp:
        with self._lock:
            if self._app is None:
                self._app = assembly.build_wsgi_application(self._conf)
            return self._app


def _create() -> LazyApplication:
    conf = config.load(prog="mistral-wsgi")
    logs.set_up(conf)
    remarks.make(conf)
    return LazyApplication(conf)


application = _create()
