"""Logs: oslo.log on the configuration at hand, and the logger that traces workflows."""

from __future__ import annotations

import logging

from oslo_config import cfg
from oslo_log import log

from mistral.utils import origin

_FORMAT_OPTIONS = ("logging_context_format_string", "logging_default_format_string")
#: What oslo.log writes by default when there is no context.
_PLAIN_FORMAT = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(message)s"


def set_up(conf: cfg.ConfigOpts) -> None:
    """Send logs where the options say."""
    log.setup(conf, "mistral")
    origin.label_records()
    # the records that tell an operator what a workflow did are INFO, whatever else is logged
    trace = logging.getLogger(conf.workflow_trace_log_name)
    if trace.level == logging.NOTSET:
        trace.setLevel(logging.INFO)
    if not conf.use_json and not conf.log_config_append and not _formats_changed(conf):
        _use_plain_format(conf.log_date_format)


def reload(conf: cfg.ConfigOpts) -> None:
    """Read the files again and reopen the logs; other options need a restart."""
    conf.mutate_config_files()
    set_up(conf)


def _formats_changed(conf: cfg.ConfigOpts) -> bool:
    for name in _FORMAT_OPTIONS:
        location = conf.get_location(name)
        if location is not None and location.location.is_user_controlled:
            return True
    return False


def _use_plain_format(date_format: str) -> None:
    """The same lines without the search for a thread's context, which is never set here.

    That search takes two thirds of the time of writing a line, several of which a task causes.
    """
    formatter = logging.Formatter(_PLAIN_FORMAT, date_format)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)
