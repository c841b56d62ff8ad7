"""What the run config runs."""
