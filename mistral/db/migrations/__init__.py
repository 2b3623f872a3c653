"""Alembic's environment and the revisions of the schema.

Run through :mod:`mistral.db.core.schema_version`.
"""
