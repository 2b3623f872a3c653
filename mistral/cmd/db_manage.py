"""``mistral-db-manage``: the schema of the database and what is stored in it from the start."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.util import CommandError
from oslo_config import cfg

from mistral import config
from mistral.cmd import parts
from mistral.db.core import schema_version
from mistral.exceptions import ConfigurationError, MistralError
from mistral.service import logs

Handler = Callable[[cfg.ConfigOpts], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 and one line on stderr when it fails."""
    try:
        conf = config.load(
            sys.argv[1:] if argv is None else argv,
            prog="mistral-db-manage",
            description="Manages the database of the Mistral workflow service.",
            cli_opts=[
                cfg.SubCommandOpt("command", title="Commands", handler=_add_commands),
                cfg.StrOpt("os-actions-mapping-path", help="Accepted; it has no effect."),
            ],
        )
        if conf.command.name is None:
            raise ConfigurationError("Say which command to run; --help lists them.")
        # standard output belongs to --sql, current and the like
        conf.set_default("use_stderr", True)
        logs.set_up(conf)
        if config.is_embedded(conf):
            parts.make_data_directory(conf)
        conf.command.handler(conf)
    except (MistralError, CommandError, sa.exc.SQLAlchemyError) as error:
        print(f"mistral-db-manage: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


def _add_commands(parsers: Any) -> None:
    _add_upgrade(parsers)
    _add(parsers, "populate", _populate, "register standard actions and workflows again")
    _add(parsers, "populate_actions", _populate_actions, "register standard actions again")
    stamp = _add(parsers, "stamp", _stamp, "set the revision without migrating")
    stamp.add_argument("revision", nargs="?", default="head")
    stamp.add_argument("--sql", action="store_true", help="print SQL instead of executing it")
    for name, text in (
        ("current", "show the revision of the database"),
        ("history", "list the migrations"),
        ("branches", "show where migrations branch"),
    ):
        _add(parsers, name, _alembic(getattr(command, name)), text)
    _add_revision(parsers)


def _add(parsers: Any, name: str, handler: Handler, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parsers.add_parser(name, help=text)
    parser.set_defaults(handler=handler)
    return parser


def _add_upgrade(parsers: Any) -> None:
    parser = _add(parsers, "upgrade", _upgrade, "migrate to a newer revision")
    parser.add_argument("revision", nargs="?", help="head, an id, +N, or FROM:TO with --sql")
    parser.add_argument("--delta", type=int, help="go up by so many migrations")
    parser.add_argument("--sql", action="store_true", help="print SQL instead of executing it")


def _add_revision(parsers: Any) -> None:
    parser = _add(parsers, "revision", _revision, "write a new migration (for developers)")
    parser.add_argument("-m", "--message")
    parser.add_argument("--autogenerate", action="store_true")
    parser.add_argument("--sql", action="store_true")
    parser.add_argument("--rev-id", dest="rev_id")


def _alembic(function: Callable[..., Any]) -> Handler:
    def run(conf: cfg.ConfigOpts) -> None:
        function(_alembic_config(conf))

    return run


def _alembic_config(conf: cfg.ConfigOpts) -> Any:
    alembic = schema_version.alembic_config(parts.database_url(conf))
    # alembic keeps the one that it found when it was imported
    alembic.stdout = sys.stdout
    return alembic


def _upgrade(conf: cfg.ConfigOpts) -> None:
    options = conf.command
    if options.delta is not None:
        if options.revision or options.delta < 1:
            raise ConfigurationError("upgrade: give a revision or a positive --delta, not both.")
        revision = f"+{options.delta}"
    elif options.revision:
        revision = options.revision
    else:
        raise ConfigurationError("upgrade: give a revision (for example 'head') or --delta.")
    if revision.startswith("-"):
        raise ConfigurationError("upgrade: there is no way back.")
    command.upgrade(_alembic_config(conf), revision, sql=options.sql)


def _stamp(conf: cfg.ConfigOpts) -> None:
    command.stamp(_alembic_config(conf), conf.command.revision, sql=conf.command.sql)


def _revision(conf: cfg.ConfigOpts) -> None:
    options = conf.command
    command.revision(
        _alembic_config(conf),
        message=options.message,
        autogenerate=options.autogenerate,
        sql=options.sql,
        rev_id=options.rev_id,
    )


def _populate(conf: cfg.ConfigOpts) -> None:
    _populate_actions(conf)
    print("There are no pre-installed workflows.")


def _populate_actions(conf: cfg.ConfigOpts) -> None:
    """Standard actions are read from plug-ins by each process; what can be done is to check."""
    shared = parts.Parts(conf)
    try:
        shared.check_database()
        print(f"{len(shared.registry.find_all())} standard actions are available.")
    finally:
        shared.close()


if __name__ == "__main__":
    sys.exit(main())
