"""The built-in checks: one module a group, plain functions that take fixtures and assert."""
