"""Behind ``tools/cluster``: a whole installation on this machine, until Ctrl-C.

A database is made for the run and dropped at the end. Database server and broker are those at the
usual addresses (or where MISTRAL_TEST_<KIND>_URL says); where there is none, one is started for
the run, if it is installed. Ends with 0 when it was stopped, 1 when a process ended by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
import tempfile
import time
from pathlib import Path

import cluster
import private_brokers
import private_databases
import processes
import services
import tool_options
from site_processes import Site

LOOK = 0.5


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def parse() -> argparse.Namespace:
    """The options."""
    parser = tool_options.cluster()
    options = parser.parse_args()
    if min(options.api, options.engines, options.executors) < 1:
        parser.error("at least one process of each kind is needed")
    return options


def database_server(options: argparse.Namespace, stack: contextlib.ExitStack) -> services.Service:
    """The one that is there, or one for this run."""
    if not options.private:
        with contextlib.suppress(services.ServiceMissing):
            return services.Service.find(options.database)
    say(f"Starting {services.TITLES[options.database]} for this run ...")
    if options.database == "postgresql":
        return stack.enter_context(private_databases.postgresql()).service
    return stack.enter_context(private_databases.mariadb()).service


def broker_url(options: argparse.Namespace, run_dir: Path, stack: contextlib.ExitStack) -> str:
    """The address of the one that is there, or of one for this run."""
    if not options.private:
        with contextlib.suppress(services.ServiceMissing):
            return services.Service.find("rabbitmq").url
    say("Starting RabbitMQ for this run ...")
    return stack.enter_context(private_brokers.PrivateRabbitMQ(run_dir / "rabbitmq")).url


def describe(site: Site) -> None:
    """What somebody who looks at it needs."""
    logs = site.installation.run_dir
    say(f"\nMistral answers at {' and '.join(f'{url}/v2' for url in site.urls)}\n")
    say(f"  curl {site.urls[0]}/healthcheck/ready")
    say(f"  mistral --os-mistral-url {site.urls[0]}/v2 workflow-list")
    say(f"  tail -f {logs}/*.log")
    say(f"  {audit_command(site)}")
    for name, process in site.installation.processes.items():
        say(f"  {name:<12} process {process.pid}, log {process.log}")
    say("\nCtrl-C stops all of it.")


def audit_command(site: Site) -> str:
    """How to look for rows that nothing moves on."""
    tool = Path(__file__).resolve().parents[1] / "check-invariants"
    return f"{sys.executable} {tool} --config-file {site.config}"


def run(options: argparse.Namespace, run_dir: Path, stack: contextlib.ExitStack) -> int:
    """Start everything and watch over it; the status is that of a process that has ended."""
    url = stack.enter_context(database_server(options, stack).new_database())
    broker = broker_url(options, run_dir, stack)
    port = processes.free_port(options.port)
    suffix = f"_{secrets.token_hex(4)}"
    sections = cluster.broker_sections(port, url, broker, suffix, options.rpc)
    site = Site(
        run_dir, sections, apis=options.api, engines=options.engines, executors=options.executors
    )
    stack.enter_context(site)
    say(f"Starting {', '.join(site.names)} ...")
    site.start_all()
    describe(site)
    while True:
        site.installation.require_alive()
        time.sleep(LOOK)


def main() -> int:
    """The exit status."""
    options = parse()
    try:
        with processes.ended_by_signals(), contextlib.ExitStack() as stack:
            run_dir = options.run_dir or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="mistral-cluster-"))
            )
            run_dir.mkdir(parents=True, exist_ok=True)
            return run(options, run_dir.resolve(), stack)
    except KeyboardInterrupt:
        say("Stopped.")
        return 0
    except processes.ClusterError as error:
        sys.stderr.write(f"tools/cluster: {error}\n")
        return 1
    except (services.ServiceMissing, OSError) as error:
        sys.stderr.write(f"tools/cluster: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
