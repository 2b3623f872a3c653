"""Tasks with join: what they know of their inbound tasks, and whether these may still come."""
