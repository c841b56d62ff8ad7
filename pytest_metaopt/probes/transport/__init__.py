"""How a command reaches a host, and what comes back."""
