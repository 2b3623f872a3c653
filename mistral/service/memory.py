"""A process' own limit of memory, so that one greedy expression does not take the machine's."""

from __future__ import annotations

import resource

from mistral.exceptions import ConfigurationError

_MEBIBYTE = 1024 * 1024


def limit(megabytes: int) -> None:
    """Let allocations beyond a limit fail with MemoryError; 0 sets none.

    Counted is the memory that the process may write to. What is only reserved is not: JavaScript
    engines reserve a terabyte of addresses and can't live under a limit of those.

    :raises ConfigurationError: the system allows less.
    """
    if not megabytes:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = megabytes * _MEBIBYTE
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise ConfigurationError(
            f"[engine] memory_limit_mb = {megabytes}: the system allows at most "
            f"{hard // _MEBIBYTE}."
        )
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
