"""Configuration: every option the service knows, and how a configuration is found and read.

There is no global configuration object. Whoever starts a process calls :func:`load` and hands the
result to the assembly; nothing below the assembly looks options up by itself.
"""

from mistral.config.loading import ignored_settings, is_embedded, load
from mistral.config.options import COMPONENTS, list_opts

__all__ = ["COMPONENTS", "ignored_settings", "is_embedded", "list_opts", "load"]
