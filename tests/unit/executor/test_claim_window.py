"""How long a claim is believed."""

from __future__ import annotations

import pytest

from mistral.engine.executor.claim_window import confirmed_for


@pytest.mark.parametrize(
    ("silence", "expected"),
    [
        pytest.param(300.0, 4.0, id="by default"),
        pytest.param(6.0, 3.0, id="2 s x 3"),
        pytest.param(2.0, 1.0, id="shorter than any claim was believed"),
        pytest.param(0.0, 4.0, id="never taken back"),
    ],
)
def test_a_claim_is_confirmed_before_it_can_be_taken_back(silence: float, expected: float) -> None:
    assert confirmed_for(silence) == expected
