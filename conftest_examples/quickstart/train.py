"""Stands for a training script; the preflight does not run it."""
