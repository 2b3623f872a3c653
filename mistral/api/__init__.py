"""The REST API, version 2 (doc:rest/index)."""
