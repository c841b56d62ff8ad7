"""What this machine and the training code on it report."""
