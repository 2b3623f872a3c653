"""Which transport a configuration asks for (entry points ``mistral.rpc.transports``)."""

from __future__ import annotations

from typing import Any, cast

from oslo_config import cfg
from stevedore import driver
from stevedore.exception import NoMatches

from mistral.exceptions import ConfigurationError
from mistral.rpc.base import Transport

GROUP = "mistral.rpc.transports"
_IN_PROCESS = ("fake", "local")


def is_in_process(conf: cfg.ConfigOpts) -> bool:
    """Whether messages stay inside this process."""
    return conf.transport_url.partition(":")[0] in _IN_PROCESS


def create_transport(conf: cfg.ConfigOpts) -> Transport:
    """The transport of ``transport_url`` and ``rpc_implementation``."""
    return load_transport("local" if is_in_process(conf) else conf.rpc_implementation, conf)


def load_transport(name: str, conf: cfg.ConfigOpts) -> Transport:
    """A transport by name; ConfigurationError when it is not installed."""
    try:
        transport: Any = driver.DriverManager(
            GROUP, name, invoke_on_load=True, invoke_args=(conf,)
        ).driver
    except NoMatches:
        raise ConfigurationError(f"There is no transport '{name}' for messages.") from None
    return cast(Transport, transport)
