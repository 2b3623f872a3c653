"""The rows that engines and callbacks read and write."""
