"""Excerpts of a document, stored as the definitions of its members (doc:language/documents)."""

from __future__ import annotations

from typing import Any

import yaml

from mistral.lang import yaml_loader
from mistral.utils import safe_yaml


def of_list(document: dict[str, Any], name: str) -> str:
    """One member of a workflow list, written anew together with the version."""
    return safe_yaml.dump({"version": document["version"], name: document[name]}, as_written=True)


class WorkbookSlices:
    """Cuts members out of a workbook's text, with their comments."""

    def __init__(self, text: str, document: dict[str, Any]) -> None:
        self._document = document
        # PyYAML counts the lines of YAML, which has more line ends than str.splitlines agrees on
        self._lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._usable = not any(char in text for char in "\x85\u2028\u2029")
        self._sections = _entries(yaml_loader.compose(text))

    def of(self, section: str, name: str) -> str:
        """The text of one member, moved to the left margin."""
        _, parent = self._sections.get(section, (None, None))
        found = _entries(parent).get(name)
        if self._usable and found and not getattr(parent, "flow_style", True):
            cut = self._cut(*found)
            if cut is not None:
                return cut
        return safe_yaml.dump({name: self._document[section][name]}, as_written=True)

    def _cut(self, key: yaml.Node, value: yaml.Node) -> str | None:
        column = key.start_mark.column
        first, last = key.start_mark.line, value.end_mark.line
        if self._lines[first][:column].strip(" "):
            return None  # written in one line with something else
        if value.end_mark.column <= column and last > first:
            last -= 1  # the value ends where the next one begins, or after the text
        lines = self._lines[first : last + 1]
        while len(lines) > 1 and _is_outside(lines[-1], column):
            lines.pop()
        return "\n".join(_moved(line, column) for line in lines) + "\n"


def _entries(node: yaml.Node | None) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: (key, value) for key, value in node.value if _is_scalar(key)}


def _is_scalar(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def _is_outside(line: str, column: int) -> bool:
    """Whether a last line is empty or a comment that belongs to what follows."""
    stripped = line.lstrip(" ")
    return not stripped or (stripped[0] == "#" and len(line) - len(stripped) <= column)


def _moved(line: str, column: int) -> str:
    return line[column:] if not line[:column].strip(" ") else line.lstrip(" ")
