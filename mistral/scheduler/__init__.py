"""Durable timers: the row is the truth, a heap in memory makes them exact."""
