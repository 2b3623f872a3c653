"""What an operator should hear about a configuration when a process starts with it."""

from __future__ import annotations

import logging

from oslo_config import cfg

from mistral import config
from mistral.exceptions import ConfigurationError

LOG = logging.getLogger(__name__)

#: Limits that may be lifted with -1, which the operator should know about.
_LIMITS = (
    ("yaql", "limit_iterators"),
    ("yaql", "memory_quota"),
    ("engine", "execution_field_size_limit_kb"),
    ("engine", "items_limit"),
    ("engine", "depth_limit"),
    ("engine", "executions_limit"),
    ("engine", "tasks_limit"),
    ("engine", "actions_limit"),
    ("engine", "values_limit_mb"),
)


def make(conf: cfg.ConfigOpts) -> None:
    """Name what nobody knows, what has no effect, and what is dangerous.

    :raises ConfigurationError: with ``--strict``, for what nobody knows.
    """
    unknown = config.unknown_settings(conf)
    if unknown:
        text = f"Nobody knows these settings: {'; '.join(unknown)}"
        if conf.strict:
            raise ConfigurationError(f"{text}. Without --strict the service starts.")
        LOG.warning("%s. They have no effect", text)
    ignored = config.ignored_settings(conf)
    if ignored:
        LOG.info("Options without effect: %s", ", ".join(ignored))
    for group, name in _LIMITS:
        if conf[group][name] < 0:
            LOG.warning("[%s] %s = -1 lifts a limit that protects the service", group, name)
    if not conf.action_std_http.denied_cidrs:
        LOG.warning(
            "[action_std_http] denied_cidrs is empty: actions may connect to any address, also to "
            "this host's own"
        )
