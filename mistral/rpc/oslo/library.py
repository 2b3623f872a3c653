"""oslo.messaging, imported and set up the way this service uses it.

Three things have to happen around the import and nowhere else:

* oslo.service chooses its back end when it is first imported: threads.
* futurist imports eventlet when it is installed, for executors that nobody here uses; that costs
  18 MB in each process. It finds none while it is imported here.
* The driver's reading threads wake up after 1, 2, 4 ... ms to send acknowledgements that other
  threads left for them. RPC messages are acknowledged by the reading thread itself, so all these
  wake-ups do is burn a third of a call's CPU. They happen every second or two instead, which is
  also how long an idle server takes to notice that it should stop.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from oslo_config import cfg
from oslo_service import backend

_WAKE_UP_SECONDS = {"ACK_REQUEUE_EVERY_SECONDS_MIN": 1.0, "ACK_REQUEUE_EVERY_SECONDS_MAX": 2.0}


def _import_library() -> ModuleType:
    backend.register_backend_default_hook(lambda: backend.BackendType.THREADING)
    hide_eventlet = "eventlet" not in sys.modules
    if hide_eventlet:
        sys.modules["eventlet"] = None  # type: ignore[assignment]
    try:
        library = importlib.import_module("oslo_messaging")
        # its options' limits are computed from the constants below: import it before they change
        importlib.import_module("oslo_messaging._drivers.impl_rabbit")
        importlib.import_module("oslo_messaging.opts")
        driver = importlib.import_module("oslo_messaging._drivers.amqpdriver")
    finally:
        if hide_eventlet:
            del sys.modules["eventlet"]
    for name, seconds in _WAKE_UP_SECONDS.items():
        if hasattr(driver, name):
            setattr(driver, name, seconds)
    return library


messaging = _import_library()


def rabbit_opts() -> list[cfg.Opt]:
    """The options of the driver for RabbitMQ, which it would register later itself."""
    groups = messaging.opts.list_opts()
    return [
        opt
        for group, opts in groups
        if getattr(group, "name", group) == "oslo_messaging_rabbit"
        for opt in opts
    ]
