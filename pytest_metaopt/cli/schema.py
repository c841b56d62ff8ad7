"""``metaopt-preflight schema``: the JSON Schema of a kind of document."""

from __future__ import annotations

import argparse
import json

from ..documents.kinds import known_kinds


def run(arguments: list[str]) -> int:
    """Print the JSON Schema of a kind of document."""
    parser = argparse.ArgumentParser(
        prog="metaopt-preflight schema",
        description="Print a JSON Schema (draft 2020-12) for editors and for check-jsonschema.",
    )
    parser.add_argument("kind", choices=sorted(known_kinds()))
    kind = known_kinds()[parser.parse_args(arguments).kind]
    print(json.dumps(kind.json_schema(), indent=2))
    return 0
