"""``mistral-set-aside``: rows that no engine looks at any more, because their execution is gone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg

from mistral import config
from mistral.cmd import parts
from mistral.db.core.database import Database
from mistral.db.operations import dead_letters
from mistral.exceptions import ConfigurationError, MistralError
from mistral.utils import clock

Handler = Callable[[cfg.ConfigOpts, Database], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 1 and one line on stderr when it fails."""
    try:
        conf = config.load(
            sys.argv[1:] if argv is None else argv,
            prog="mistral-set-aside",
            description="Shows, retries and deletes events, timers and actions that were set "
            "aside because their execution is gone.",
            cli_opts=[cfg.SubCommandOpt("command", title="Commands", handler=_add_commands)],
        )
        if conf.command.name is None:
            raise ConfigurationError("Say which command to run; --help lists them.")
        database = Database(parts.database_url(conf))
        try:
            conf.command.handler(conf, database)
        finally:
            database.close()
    except (MistralError, sa.exc.SQLAlchemyError) as error:
        print(f"mistral-set-aside: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


def _add_commands(parsers: Any) -> None:
    _add(parsers, "list", _list, "show them, one line each, and their number on stderr")
    for name, handler, text in (
        ("retry", _retry, "let engines look at them again"),
        ("delete", _delete, "forget them"),
    ):
        parser = _add(parsers, name, handler, text)
        parser.add_argument("ids", nargs="*", metavar="ID", help="what 'list' shows")
        parser.add_argument("--all", action="store_true", help="all of them")


def _add(parsers: Any, name: str, handler: Handler, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parsers.add_parser(name, help=text)
    parser.set_defaults(handler=handler)
    return parser


def _list(_conf: cfg.ConfigOpts, database: Database) -> None:
    found = database.read(lambda conn: list(dead_letters.find(conn)))
    for row in found:
        since = clock.render(row.since)
        print(f"{row.kind} {row.id}: {row.what}, since {since} [execution={row.execution_id}]")
    print(f"{len(found)} set aside", file=sys.stderr)


def _retry(conf: cfg.ConfigOpts, database: Database) -> None:
    ids = _wanted(conf)
    count = database.write(lambda conn: dead_letters.retry(conn, ids, clock.utc_now()))
    print(f"{count} will be looked at again")


def _delete(conf: cfg.ConfigOpts, database: Database) -> None:
    ids = _wanted(conf)
    print(f"{database.write(lambda conn: dead_letters.forget(conn, ids))} deleted")


def _wanted(conf: cfg.ConfigOpts) -> list[str] | None:
    options = conf.command
    if options.all == bool(options.ids):
        raise ConfigurationError(f"{options.name}: give ids or --all.")
    return None if options.all else list(options.ids)


if __name__ == "__main__":
    sys.exit(main())
