"""``mistral-server``: run components of the service in this process."""

from __future__ import annotations

import functools
import importlib.metadata
import sys
import warnings
from collections.abc import Sequence

import sqlalchemy as sa
from oslo_config import cfg

from mistral import config
from mistral.cmd import assembly, remarks
from mistral.exceptions import ConfigurationError, UnavailableException
from mistral.service import base, logs, supervision, watchdog
from mistral.utils import origin


def main(argv: Sequence[str] | None = None) -> int:
    """Run until a signal ends it; 1 and one line on stderr when it can't start."""
    _hush_libraries()
    try:
        conf = config.load(sys.argv[1:] if argv is None else argv)
        logs.set_up(conf)
        origin.label_prints()
        remarks.make(conf)
        service = assembly.build_service(conf)
        print(banner(conf), flush=True)
        process = base.Process(
            service, functools.partial(logs.reload, conf), conf.graceful_shutdown_timeout
        )
        with watchdog.watching(conf.watchdog.timeout):
            process.run()
    except (ConfigurationError, UnavailableException, sa.exc.OperationalError) as error:
        print(f"mistral-server: {str(error).splitlines()[0]}", file=sys.stderr)
        supervision.say_goodbye()
        return 1
    supervision.say_goodbye()
    return 0


def banner(conf: cfg.ConfigOpts) -> str:
    """What an operator, or somebody who tries the service out, should see first."""
    title = f"Mistral {importlib.metadata.version('mistral')}"
    running = ", ".join(assembly.components(conf)) or "nothing"
    if not config.is_embedded(conf):
        return f"{title}\nRunning: {running}"
    database = sa.make_url(conf.database.connection).render_as_string(hide_password=True)
    return "\n".join(
        [
            f"{title}, embedded (no configuration file names a database or a transport)",
            f"Running:  {running}; messages stay in this process",
            f"Database: {database}",
            f"API:      {assembly.api_url(conf)}/v2",
            f"Access:   no authentication, bound to {conf.api.host}; actions may call this host",
        ]
    )


def _hush_libraries() -> None:
    # said by libraries about one that is never used here
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    warnings.filterwarnings("ignore", message=r"eventletutils module is deprecated")


if __name__ == "__main__":
    sys.exit(main())
