"""The pure heart: entities, states, commands, data flow and "what next" of a workflow.

Nothing here opens a transaction, sends a message, reads the configuration or the clock.
"""
