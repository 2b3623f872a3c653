"""The REST API, version 2 (contract rest-api.md)."""
