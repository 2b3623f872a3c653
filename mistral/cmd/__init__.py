"""Commands: read the configuration, assemble, run. The only rooms that know all others."""
