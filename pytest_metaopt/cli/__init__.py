"""The command ``metaopt-preflight``: one module a verb."""
