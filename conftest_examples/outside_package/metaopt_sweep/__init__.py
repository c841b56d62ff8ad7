"""Sweeps for pytest-metaopt: which learning rates are tried, and where their results go."""
