"""Leaves: small helpers without knowledge of the domain."""
