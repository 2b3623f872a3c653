"""The engine: decides what runs next, and the executor that runs it."""
