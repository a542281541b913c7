"""Making a commit: transactions, constraints, bulk load."""
