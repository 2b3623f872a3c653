"""Tables, transactions and repositories. No business decisions."""
