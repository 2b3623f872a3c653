"""What operators ask of the whole database: checks, maintenance, rows set aside."""
