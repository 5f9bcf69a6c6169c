"""Regression checks: record what the old endpoint answers, compare, and say how sure one can be."""
