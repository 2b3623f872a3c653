"""Files that workflows may name: those of one directory that the operator has chosen."""

from __future__ import annotations

import pathlib

from mistral_lib.exceptions import ActionException


def file_within(directory: pathlib.Path | None, name: str, what: str, option: str) -> pathlib.Path:
    """The path of a file, which must lie in the directory.

    :param what: the kind of file, for texts; ``option`` is the one that names the directory.
    """
    if directory is None:
        raise ActionException(
            f"No {what} may be named: no directory of them is configured ({option})."
        )
    top = directory.resolve()
    try:
        path = (top / name).resolve()
        if not path.is_relative_to(top):
            raise ActionException(
                f"The {what} lies outside of the configured directory ({option})."
            )
        if path.is_file():
            return path
    except (OSError, ValueError):
        # a name that can't be one
        pass
    raise ActionException(
        f"The {what} can't be read: the configured directory has no such file ({option})."
    )
