"""What old integrations see: their parameters, queries, answers and signatures (contract, sections 1, 2 and 6)."""
