"""Expressions, and short ways to say "this workflow"."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from mistral.expressions import (
    Expressions,
)
from mistral.lang import WorkflowSpec, parse_workflow_list


@pytest.fixture
def workflow(expressions: Expressions) -> Callable[[str], WorkflowSpec]:
    """Parse the body of one workflow, called ``wf``."""

    def parse(body: str) -> WorkflowSpec:
        text = "version: '2.0'\nwf:\n" + textwrap.indent(textwrap.dedent(body), "  ")
        return parse_workflow_list(text, expressions)[0]

    return parse


@pytest.fixture
def tasks(workflow: Callable[[str], WorkflowSpec]) -> Callable[[str], WorkflowSpec]:
    """Parse the tasks of one workflow."""
    return lambda text: workflow("tasks:\n" + textwrap.indent(textwrap.dedent(text), "  "))
