"""``mistral-server``, before anything of the service is loaded: with a supervisor or without.

Where somebody else starts a process again when it has died (systemd, a container's host), this
process becomes the service. Otherwise it becomes the supervisor, whose child is the service.
"""

from __future__ import annotations

import os
import pkgutil
import sys

from mistral import config
from mistral.exceptions import ConfigurationError

_SUPERVISOR = "mistral.cmd.supervisor"
_SERVICE = "mistral.cmd.launch:main"


def main() -> int:
    """Become what is wanted."""
    argv = sys.argv[1:]
    if _is_alone(argv):
        os.execv(sys.executable, [sys.executable, "-P", "-m", _SUPERVISOR, *argv])
    # a supervisor has no use for all that this loads
    return int(pkgutil.resolve_name(_SERVICE)(argv))


def _is_alone(argv: list[str]) -> bool:
    try:
        return config.wants_supervisor(config.load(argv))
    except ConfigurationError:
        # the service tells
        return False
