"""Configuration: every option the service knows, and how a configuration is found and read.

There is no global configuration object. Whoever starts a process calls :func:`load` and hands the
result to the assembly; nothing below the assembly looks options up by itself.
"""

from mistral.config.loading import (
    ignored_settings,
    is_embedded,
    load,
    source_of,
    wants_supervisor,
)
from mistral.config.options import COMPONENTS, list_opts
from mistral.config.unknown import unknown_settings

__all__ = [
    "COMPONENTS",
    "ignored_settings",
    "is_embedded",
    "list_opts",
    "load",
    "source_of",
    "unknown_settings",
    "wants_supervisor",
]
