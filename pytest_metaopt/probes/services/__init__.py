"""What services report: git, SkyPilot, Weights & Biases, Vast."""
