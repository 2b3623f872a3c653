"""Column types: JSON texts, bags of values, exact UTC moments on every database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from mistral.utils import json
from mistral.workflow.values import Bag

LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
IDENTIFIER = sa.String(64)
NAME = sa.String(255)


class FreeText(sa.types.TypeDecorator[str]):
    """A text for people, of any origin: what databases can't keep is shown as U+FFFD.

    That is NUL, by PostgreSQL, and half a surrogate pair, by all of them.
    """

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return LONG_TEXT

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        if not value:
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value.replace("\0", "\ufffd")


class Json(sa.types.TypeDecorator[Any]):
    """Any JSON value as text."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return LONG_TEXT

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else json.loads(value)


class BagText(sa.types.TypeDecorator[Bag]):
    """A :class:`~mistral.workflow.values.Bag` in its text form."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return LONG_TEXT

    def process_bind_param(self, value: Bag | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else value.encode()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Bag | None:
        return None if value is None else Bag.decode(value)
