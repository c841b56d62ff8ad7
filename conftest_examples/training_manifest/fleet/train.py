"""The trainer: ``python -m fleet.train --epochs 40``."""

from __future__ import annotations

import argparse


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with which the preflight validates every key and value of ``hyper``."""
    parser = argparse.ArgumentParser(description="Train a model.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--optimizer", choices=["adam", "sgd"], default="adam")
    parser.add_argument("-k", type=int, default=3)
    return parser


if __name__ == "__main__":
    build_parser().parse_args()
