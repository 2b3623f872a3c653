"""Mistral: a workflow service."""
