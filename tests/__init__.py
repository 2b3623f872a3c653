"""The tests, by what they need: nothing, one service, several processes, a simulated world."""
