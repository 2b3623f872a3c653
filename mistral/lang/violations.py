"""What is wrong with a definition, and where.

A check raises a violation that knows the problem; each level above adds its own key while the
violation passes, so that correct definitions cost nothing. The document turns it into an error.
"""

from __future__ import annotations

from mistral import exceptions as exc

Path = tuple[str | int, ...]


class Violation(Exception):
    """A problem at a path of keys and indexes; never leaves this package."""

    def __init__(
        self,
        problem: str,
        *path: str | int,
        error: type[exc.InvalidModelException] = exc.DSLParsingException,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: tuple[str | int, ...] = path
        self.error = error

    def under(self, *keys: str | int) -> Violation:
        """The same violation, seen from further up."""
        self.path = keys + self.path
        return self


def describe(path: tuple[str | int, ...], kind: str) -> str:
    """Document, workflow, task and attribute of a path, as words.

    :param kind: ``workflow``, ``action`` or ``workbook``: what the document holds.
    """
    words = []
    rest = path
    member = kind
    if kind == "workbook":
        words.append("workbook")
        if len(rest) > 1 and rest[0] in ("workflows", "actions"):
            member, rest = str(rest[0])[:-1], rest[1:]
    if member != "workbook":
        if not rest:
            return f"{member} list"
        if rest == ("version",):
            return f"{member} list, attribute 'version'"
        words.append(f"{member} '{rest[0]}'")
        rest = rest[1:]
    if member == "workflow" and len(rest) > 1 and rest[0] == "tasks":
        words.append(f"task '{rest[1]}'")
        rest = rest[2:]
    if rest:
        words.append(f"attribute '{_attribute(rest)}'")
    return ", ".join(words)


def _attribute(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
