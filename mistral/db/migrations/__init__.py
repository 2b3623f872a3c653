"""Alembic's environment and the revisions of the schema. Run through :mod:`mistral.db.schema`."""
