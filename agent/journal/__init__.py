"""What the agent remembers, in SQLite: typed rows in, typed rows out."""
