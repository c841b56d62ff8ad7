"""A launch as values: nodes, hosts, GPUs, launcher. It knows no pytest."""
