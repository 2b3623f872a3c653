"""Tables, connections and statements: what every other room of the database is made of."""
