"""Calls and casts between the processes of the service.

Messages are doorbells: whatever must happen is a committed row before anything is sent, so a
transport may lose, repeat or reorder what it carries.
"""
