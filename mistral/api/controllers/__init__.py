"""Controllers: what a request does, read from top to bottom."""
