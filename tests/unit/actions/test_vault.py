"""Encryption of what is stored."""

from __future__ import annotations

import pytest

from mistral import exceptions as exc
from mistral.actions.vault import Vault, new_key


def test_what_is_sealed_can_be_opened_and_shows_nothing() -> None:
    vault = Vault.generated()
    secrets = {"password": "pw-ünï-12345", "n": [1, None, {"a": True}]}
    sealed = vault.seal(secrets)
    assert vault.open(sealed) == secrets
    assert "pw-" not in sealed
    assert vault.seal(secrets) != sealed


def test_keys_are_changed_by_putting_the_new_one_first() -> None:
    old, new = new_key(), new_key()
    sealed = Vault([old]).seal({"a": 1})
    both = Vault([new, old])
    assert both.open(sealed) == {"a": 1}
    assert Vault([new]).open(both.seal({"a": 2})) == {"a": 2}
    with pytest.raises(exc.SealedException, match=r"\[secrets\] encryption_keys"):
        Vault([new]).open(sealed)


@pytest.mark.parametrize("key", ["", "short", "x" * 44, "ünï"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError):
        Vault([key])
