"""Completion of command lines by shells: what ``--shell_completion`` prints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

OPTION: Final = "--shell_completion"
SHELLS: Final = ("bash", "zsh")

_FLAG = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
_COMMANDS = re.compile(r"\{([a-z_]+(?:,[a-z_]+)+)\}")

_BASH = """\
# {prog} {option} bash > /etc/bash_completion.d/{prog}
_{name}() {{
    COMPREPLY=($(compgen -W '{words}' -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _{name} {prog}
"""
_ZSH = """\
#compdef {prog}
# {prog} {option} zsh > "${{fpath[1]}}/_{prog}"
_{name}() {{
    compadd -- {words}
    _files
}}
compdef _{name} {prog}
"""


def asked_shell(argv: Sequence[str]) -> str | None:
    """The shell that a command line asks for, None for any other line."""
    for position, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name == OPTION:
            follower = argv[position + 1] if position + 1 < len(argv) else ""
            return value if equals else follower
    return None


def script(shell: str, prog: str, help_text: str) -> str:
    """What the shell is to read; flags and commands are those of the help's first paragraph."""
    usage = help_text.partition("\n\n")[0]
    found = dict.fromkeys(_FLAG.findall(usage))
    for names in _COMMANDS.findall(usage):
        found |= dict.fromkeys(names.split(","))
    template = {"bash": _BASH, "zsh": _ZSH}[shell]
    return template.format(
        prog=prog, name=prog.replace("-", "_"), option=OPTION, words=" ".join(sorted(found))
    )
