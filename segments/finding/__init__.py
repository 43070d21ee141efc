"""Find People as a page: a query in the address, its form, what it finds."""
