"""Mistral's public Python API for authors of actions.

Everything here is stable and imports nothing of the service, so a plug-in package needs only
this library. See :mod:`mistral_lib.actions` for what an action looks like.
"""
