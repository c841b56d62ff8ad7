"""The models that this fleet can train."""

from __future__ import annotations

REGISTRY = {"gbt": "gradient boosted trees", "knn": "nearest neighbours", "gru": "a recurrent network"}
