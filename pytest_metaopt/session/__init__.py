"""Everything that knows pytest: hooks, items, evaluation, verdicts."""
