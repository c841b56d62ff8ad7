"""What a node reports: one thing of the world a module."""
