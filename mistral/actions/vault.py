"""Encrypts what must be stored and is nobody else's business (law 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from mistral import exceptions as exc
from mistral.utils import json


class Vault:
    """Seals secrets by the first of its keys and opens what any of them has sealed.

    The same secret sealed twice gives two different texts. Safe between threads.

    :raises ValueError: a key is none.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    @classmethod
    def generated(cls) -> Vault:
        """One whose key exists only in this process."""
        return cls([new_key()])

    def seal(self, secrets: Mapping[str, Any]) -> str:
        """The encrypted form of some values."""
        return self._fernet.encrypt(json.dump_bytes(dict(secrets))).decode()

    def open(self, text: str) -> dict[str, Any]:
        """The opposite of :meth:`seal`.

        :raises SealedException: none of the keys has sealed it.
        """
        try:
            found: dict[str, Any] = json.loads(self._fernet.decrypt(text))
        except InvalidToken:
            raise exc.SealedException(
                "The secrets of the action's input can't be decrypted: this engine has not the key "
                "that they were stored with, see [secrets] encryption_keys"
            ) from None
        return found


def new_key() -> str:
    """A new random key."""
    return Fernet.generate_key().decode()
