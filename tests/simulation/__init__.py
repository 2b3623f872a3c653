"""A seeded simulator: real use cases over simulated rows, clocks, messages and crashes.

One seed makes a workflow, its faults and the order of every step; the same seed replays all of
it. ``python -m tests.simulation --seed N`` shows one run.
"""
