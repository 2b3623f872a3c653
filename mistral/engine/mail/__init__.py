"""What arrives for executions: a class for each kind, with its way into decisions."""
