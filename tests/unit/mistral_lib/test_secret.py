"""How authors declare that a parameter is secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest

from mistral_lib import actions
from mistral_lib.actions import Secret, SecretStr
from mistral_lib.actions.secret import secret_parameters

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]


def declared(
    plain: str,
    text: SecretStr,
    maybe: SecretStr | None,
    whole: Annotated[dict[str, Any], Secret()],
    bare: Annotated[Any, Secret],
    named: Annotated[Any, Secret(by_name=True)] = None,
    nothing=1,  # type: ignore[no-untyped-def]
) -> None:
    pass


def test_marks_are_found_in_annotations() -> None:
    whole = Secret()
    assert secret_parameters(declared) == {
        "text": whole,
        "maybe": whole,
        "whole": whole,
        "bare": whole,
        "named": Secret(by_name=True),
    }


def test_annotations_that_only_type_checkers_understand() -> None:
    def function(a: Unknown, b: SecretStr, c: Annotated[Unknown, actions.Secret()]) -> None:
        pass

    assert set(secret_parameters(function)) == {"b", "c"}


@pytest.mark.parametrize("function", [lambda a, b=1: None, print, object.__init__])
def test_who_declares_nothing_has_no_marks(function: Any) -> None:
    assert not secret_parameters(function)
