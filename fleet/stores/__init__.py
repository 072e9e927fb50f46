"""What the fleet remembers: one SQL database, its tables, and the sentences spoken to it."""
