"""What unit tests of several rooms work with."""

from __future__ import annotations

import pytest

from mistral.expressions import (
    BUILTIN,
    ExpressionOptions,
    Expressions,
    JinjaEvaluator,
    YaqlEvaluator,
)


@pytest.fixture(scope="session")
def expressions() -> Expressions:
    """Both languages with the built-in functions."""
    options = ExpressionOptions()
    return Expressions([YaqlEvaluator(options, BUILTIN), JinjaEvaluator(options, BUILTIN)], options)
