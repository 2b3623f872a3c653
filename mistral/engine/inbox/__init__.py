"""What arrives for executions: the mail's kinds, how often each is tried, and who handles it."""
