"""The kinds of databases that a test of statements runs on."""

from typing import Final

EVERY: Final = ("sqlite", "postgresql", "mariadb")
"""For ``pytest.mark.parametrize("database", EVERY, indirect=True)``."""
