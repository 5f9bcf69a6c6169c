"""Texts that must be exact: JSON and points in time."""
