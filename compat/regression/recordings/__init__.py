"""Recordings: old calls and their answers, kept without anybody's data."""
