"""Mistral, a workflow service.

``doc/source/architecture.rst`` shows its rooms and lists the laws that comments here refer to by
number.
"""
