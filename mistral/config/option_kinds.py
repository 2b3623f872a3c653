"""Kinds of options: limits, and what is accepted without effect."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

#: Help of options that are accepted for compatibility and have no effect.
IGNORED = "Accepted for compatibility; it has no effect."


def limit(name: str, default: int, what: str) -> cfg.Opt:
    """An option that bounds what comes from outside."""
    return cfg.IntOpt(name, default=default, min=-1, help=f"{what}; -1 lifts the limit.")


def ignored(
    option: type[cfg.Opt], name: str, default: object = None, why: str = "", **checks: Any
) -> cfg.Opt:
    """An option that operators have in their files and that means nothing here.

    Its value is still checked, so that a mistake in a file is found.
    """
    return option(name, default=default, help=f"{IGNORED} {why}".rstrip(), **checks)
