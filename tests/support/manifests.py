"""Training manifests for the tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

MANIFEST_NAME = "training_manifest.toml"

SAMPLE = """\
schema_version = 1
name = "fleet"

[defaults]
split_recipe = "sample"
seed = 7
train_hosts = ["gpu-01", "gpu-02"]

[hosts.gpu-01]
deny_jobs = ["gbt"]

[hosts.pi]
allow_jobs = ["gbt", "knn"]

[[jobs]]
name = "gbt-realistic"
model = "gbt"
mode = "realistic"

[[jobs]]
name = "tr-oracle"
model = "transformer"
mode = "oracle"
priority = 5
require_cuda = true
min_vram_gib = 10
hyper.epochs = 80
hyper.batch_size = 256
hyper.lr = 3e-4
split_recipe = "time"
seed = 1
"""
"""The sample of the manifest's contract."""

SAMPLE_IDS = ("28cbbb44ef3cc3d8", "71ccaaa1211e7290")

MODELS = ("gbt", "knn", "knn_semi", "mlp", "cnn", "gru", "lstm", "transformer", "transformer_ssl")


def mixed(count: int = 14) -> str:
    """A manifest of *count* jobs, of every model, that every check is content with on any host."""
    text = [
        'schema_version = 1\nname = "mixed"\n',
        "[hosts.big]\n",
        '[hosts.small]\nallow_jobs = ["gbt", "knn"]\n',
    ]
    text.extend(
        f'[[jobs]]\nname = "job-{number}"\nmodel = "{MODELS[number % len(MODELS)]}"\n'
        f'mode = "{("realistic", "oracle")[number % 2]}"\nmin_ram_gib = 0.1\nseed = {number}\n'
        f"hyper = {{epochs = {number}, lr = 1e-{number % 5}}}\n"
        for number in range(count)
    )
    return "\n".join(text)


def expected_id(job: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """The id of a job, computed from the contract's words and nothing of ours."""
    fields = {
        "model": job["model"],
        "mode": job.get("mode", "realistic"),
        "hyper": job.get("hyper", {}),
        "split_recipe": job.get("split_recipe", defaults.get("split_recipe", "host")),
        "train_hosts": list(job.get("train_hosts", defaults.get("train_hosts", ["elliott-thinkpad"]))),
        "seed": job.get("seed", defaults.get("seed", 0)),
    }
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]
