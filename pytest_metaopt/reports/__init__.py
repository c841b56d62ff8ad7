"""Findings for people and machines: one writer a format."""
