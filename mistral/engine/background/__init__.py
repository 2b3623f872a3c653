"""What runs beside an engine: the relay, housekeeping, maintenance and watches."""
