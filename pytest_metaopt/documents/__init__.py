"""What a user hands over: one module a kind of document, and the kinds in one table."""
