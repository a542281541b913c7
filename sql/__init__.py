"""SQL: statements to the rooms below. Empty until its issue lands."""
