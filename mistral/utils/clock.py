"""Time: naive UTC datetimes everywhere inside."""

from __future__ import annotations

import datetime as dt


def utc_now() -> dt.datetime:
    """Now, UTC, without a zone, with microseconds."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def render(moment: dt.datetime | None) -> str | None:
    """The API's form: ``YYYY-MM-DD HH:MM:SS`` (contract rest-api §1.5)."""
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else None
