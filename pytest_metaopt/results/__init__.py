"""How a session came out: outcomes, verdict, artifact, freshness."""
