"""How an executor runs what it was sent: claims, runs and threads."""
