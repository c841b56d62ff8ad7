"""Slow facts from outside: one module an outside thing, gathered side by side by :mod:`.pool`.

A probe gathers and judges nothing: it returns a frozen dataclass that a check reads. It always has a
deadline, never prompts for a password, never reads the user's stdin, and cuts secrets out of what it returns.
"""
