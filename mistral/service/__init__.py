"""Life of processes and of the components in them: start, stop, signals, logs, HTTP."""
