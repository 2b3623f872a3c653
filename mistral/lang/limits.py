"""How large a document may be, and how much is told of it."""

from __future__ import annotations

import dataclasses

from mistral.utils.safe_yaml import YamlLimits


@dataclasses.dataclass(frozen=True)
class DocumentLimits:
    """The options of the group ``[definitions]``, by name; a negative number lifts a limit."""

    #: characters of a document; of one that only the slow parser of YAML reads
    max_length: int = 4 * 1024 * 1024
    max_length_of_odd_yaml: int = 1024 * 1024
    #: keys of one mapping that are long numbers
    max_long_keys: int = 1000
    #: characters of a document of ad-hoc actions times their number: each is stored with the whole
    max_copied_length: int = 32 * 1024 * 1024
    #: what is doubtful and told; beyond how much of it nobody looks for what was meant
    max_warnings: int = 50
    max_suggestions: int = 20

    @property
    def yaml(self) -> YamlLimits:
        """Those of the parser."""
        return YamlLimits(self.max_length, self.max_length_of_odd_yaml, self.max_long_keys)


USUAL_LIMITS = DocumentLimits()
