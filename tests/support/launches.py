"""Launch specs for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pytest_metaopt.documents.kinds import KINDS
from pytest_metaopt.documents.launch import Launch

LAUNCH_NAME = "launch.yaml"

FULL = """\
name: full
nodes:
  - local://
  - host: ssh://me@gpu-1.test:2222?ssh_config=cluster.conf
    name: gpu-1
    address: 10.0.0.1
    env: {NCCL_SOCKET_IFNAME: eth1}
num_nodes: 2
gpus: {name: A100, count: 8, memory: 80GB+}
memory: 200GB+
resources: {disk: 100GB, cloud: aws, use_spot: true}
fabric: nvswitch
network: {interface: eth0, mtu: 9000, rdma: false}
launcher:
  name: torchrun
  args: {nnodes: 2, no_python: true}
  collective_timeout: 10m
run: torchrun --max-restarts=3 --rdzv-backend=c10d --nnodes=2 train.py
env: {TORCH_NCCL_ASYNC_ERROR_HANDLING: 1, NCCL_DEBUG: INFO}
envs: {SKY: x, LATER: null}
storage:
  checkpoint_dir: /mnt/ckpt
  checkpoint_size: 40GB
  checkpoints: 3
  scratch: 1.5TiB
  durable_mounts: [/mnt]
  resume: true
  write_time: 2m
  checkpoint_every: 38m
elasticity: {expected_lost_workers: 1, pinned_to_max_np: true, time_between_preemptions: 6h}
candidates: [autodl, runpod]
workdir: .
setup: pip install torch
file_mounts: {/data: s3://bucket}
volumes: {/mnt: v}
secrets: {HF_TOKEN: hunter22-is-the-password}
managed_secrets: [wandb]
service: {replicas: 1}
pool: {workers: 1}
event_callback: echo
inputs: {in: 1}
outputs: {out: 1}
config: {docker: {}}
"""
"""A spec with every key that there is."""

SECRET = "hunter22-is-the-password"

SKYPILOT = f"""\
name: train
resources:
  accelerators: A100:8
  cloud: aws
  any_of: [{{region: us-east-1}}]
  disk_size: 256
  memory: 64+
num_nodes: 2
workdir: .
envs:
  NCCL_DEBUG: INFO
  WANDB_API_KEY: {SECRET}
  HF_TOKEN: null
secrets:
  OTHER: {SECRET}
file_mounts:
  /data: s3://bucket
setup: |
  pip install -r requirements.txt
run: |
  # doesn't restart by itself
  HEAD=$(echo "$SKYPILOT_NODE_IPS" | head -n1)
  torchrun \\
    --nnodes=$SKYPILOT_NUM_NODES \\
    --rdzv-endpoint=$(echo $HEAD | cut -d: -f1):29400 \\
    --max-restarts=3 --rdzv-backend=c10d \\
    main.py --max-restarts 0
"""
"""A SkyPilot task."""

PORTABLE = """\
resources: {gpu: {name: A100, count: 1, memory: 24GB+}, disk: 100GB}
candidates: [autodl, china, runpod]
run: "bash run_queue.sh queue.txt"
"""
"""The portable job request of the contract."""


def spec(**keys: Any) -> str:
    return str(yaml.safe_dump(keys, sort_keys=False)) if keys else "name: x\n"


def read(folder: Path, **keys: Any) -> Launch:
    """Return the launch of a spec with these keys, which is written to *folder*."""
    path = folder / LAUNCH_NAME
    path.write_text(spec(**keys))
    launch = KINDS["launch"].load(path)
    assert isinstance(launch, Launch)
    return launch


def nodes(*entries: Any, **keys: Any) -> str:
    return spec(nodes=list(entries), **keys)


def storage(**keys: Any) -> str:
    return spec(storage=keys)


GOOD: dict[str, str] = {
    "full": FULL,
    "skypilot": SKYPILOT,
    "portable": PORTABLE,
    "name_only": spec(),
    "local": nodes("local://"),
    "bare": nodes("gpu-1", "me@gpu-2", "gpu-3:2222"),
    "ipv6": nodes("ssh://[fe80::1%25eth0]:22", "[::1]"),
    "transports": nodes("docker://box", "podman://b.x", "kubectl://pod-1?namespace=ml&container=main"),
    "sizes": storage(checkpoint_size="1.5 TiB", scratch=0.5),
    "durations": storage(write_time="90s", checkpoint_every=1800),
    "mtu": spec(network={"mtu": 576}),
    "no_gpus": spec(gpus={"count": 0}),
    "memory": spec(memory="200GiB+"),
    "home": storage(checkpoint_dir="~/ckpt"),
    "num_nodes": spec(num_nodes=3),
    "args_later": spec(run="horovodrun --min-np $MIN x", launcher={"args": {"min_np": 4}}),
    "accelerators": spec(resources={"accelerators": {"A100": 8, "H100": None}}),
    "sky_free": spec(resources={"job_recovery": "FAILOVER", "whatever": 1, "autostop": True}),
}
"""What launch[schema] is content with."""

_TOKENS = {"gpus": {"count": 1}, "resources": {"gpu": {"count": 1}}}
HUGE = 10**200

BAD: dict[str, tuple[str, str]] = {
    # typos, at every level
    "key": (spec(nodez=["a"]), "unknown key nodez; did you mean 'nodes'?"),
    "key_number": ("3: x\n", "unknown key 3; a key is a string"),
    "key_node": (
        nodes({"host": "a", "adress": "b"}),
        "unknown key nodes.0.adress; did you mean 'address'?",
    ),
    "key_gpus": (spec(gpus={"nme": "A100"}), "unknown key gpus.nme; did you mean 'name'?"),
    "key_gpu": (
        spec(resources={"gpu": {"cont": 1}}),
        "unknown key resources.gpu.cont; did you mean 'count'?",
    ),
    "key_resources": (
        spec(resources={"accelerator": "A100:8"}),
        "unknown key resources.accelerator; did you mean 'accelerators'?",
    ),
    "key_network": (
        spec(network={"interfce": "eth0"}),
        "unknown key network.interfce; did you mean 'interface'?",
    ),
    "key_launcher": (spec(launcher={"nam": "python"}), "unknown key launcher.nam; did you mean 'name'?"),
    "key_storage": (
        storage(checkpoint_dri="/a"),
        "unknown key storage.checkpoint_dri; did you mean 'checkpoint_dir'?",
    ),
    "key_elasticity": (
        spec(elasticity={"pinned_to_max": True}),
        "unknown key elasticity.pinned_to_max; did you mean 'pinned_to_max_np'?",
    ),
    # types
    "name_number": (spec(name=3), "name is a number; expected a string"),
    "name_blank": (spec(name=" "), "name is an empty string; expected a string that is not blank"),
    "null": (spec(gpus=None), "gpus is empty (null); give it a value or remove the key"),
    "nodes_text": (spec(nodes="gpu-1"), "nodes is a string; expected a list"),
    "nodes_empty": (
        spec(nodes=[]),
        "nodes is an empty list; name a node, or remove the key for this machine",
    ),
    "nodes_number": (nodes(3), "nodes.0 is a number; expected a host spec, or a mapping with host"),
    "node_blank": (nodes(" "), "is an empty string"),
    "node_no_host": (nodes({"name": "a"}), "nodes.0.host is missing; expected a string"),
    "node_name": (
        nodes({"host": "a", "name": "a b"}),
        "nodes.0.name is not a name for a node; expected letters",
    ),
    "num_nodes_0": (spec(num_nodes=0), "num_nodes is 0; expected an integer, 1 or more"),
    "num_nodes_text": (
        spec(num_nodes="2"),
        "num_nodes is a string (remove the quotes); expected an integer, 1",
    ),
    "gpus_text": (spec(gpus="A100:8"), "gpus is a string; expected a mapping with name and count"),
    "gpus_count": (spec(gpus={"count": 65}), "gpus.count is 65; expected an integer from 0 to 64"),
    "gpus_float": (spec(gpus={"count": 1.5}), "gpus.count is 1.5; expected an integer from 0 to 64"),
    "gpus_memory": (
        spec(gpus={"memory": "80"}),
        "gpus.memory is not a memory of a GPU such as 40GB or 24GB+",
    ),
    "resources_list": (spec(resources=[]), "resources is a list; expected a mapping"),
    "fabric": (
        spec(fabric="nvswich"),
        "fabric is not one of nvswitch, nvlink, pcie; did you mean 'nvswitch'?",
    ),
    "rdma": (spec(network={"rdma": "yes"}), "network.rdma is a string; expected true or false"),
    "launcher_name": (
        spec(launcher={"name": "torchrn"}),
        "launcher.name is not one of torchrun, horovodrun, deepspeed",
    ),
    "args_list": (
        spec(launcher={"args": {"a": [1]}}),
        "launcher.args.a is a list; expected a string, a number or true",
    ),
    "args_false": (
        spec(launcher={"args": {"standalone": False}}),
        "launcher.args.standalone is a boolean (false)",
    ),
    "args_huge": (
        spec(launcher={"args": {"max_restarts": HUGE}}, run="torchrun --max-restarts=1 x"),
        "launcher.args.max_restarts is a very large number",
    ),
    "run_list": (spec(run=["a"]), "run is a list; expected a string"),
    "run_blank": (spec(run=" "), "run is an empty string"),
    "resume": (storage(resume=1), "storage.resume is a number; expected true or false"),
    "checkpoints": (storage(checkpoints=0), "storage.checkpoints is 0; expected an integer, 1 or more"),
    "mounts": (storage(durable_mounts="/a"), "storage.durable_mounts is a string; expected a list"),
    "mounts_home": (
        storage(durable_mounts=["~/a"]),
        "storage.durable_mounts.0 is not a mount point, which begins",
    ),
    "mounts_relative": (storage(durable_mounts=["a"]), "storage.durable_mounts.0 is not an absolute path"),
    "directory": (
        storage(checkpoint_dir="ckpt"),
        "storage.checkpoint_dir is not an absolute path; nodes have no common directory",
    ),
    "directory_home": (storage(checkpoint_dir="~you/a"), "storage.checkpoint_dir is not an absolute path"),
    "lost": (spec(elasticity={"expected_lost_workers": -1}), "is -1; expected an integer, 0 or more"),
    "candidates": (spec(candidates=["a", 3]), "candidates.1 is a number; expected a string"),
    "accelerators": (
        spec(resources={"accelerators": "8xA100"}),
        "resources.accelerators has the count in front",
    ),
    # sizes, durations, MTU, variables, interface, addresses
    "size": (
        storage(checkpoint_size="40 gigabytes"),
        "storage.checkpoint_size is not a size such as 100GB or 1.5TiB",
    ),
    "size_bare": (storage(checkpoint_size="40"), "storage.checkpoint_size is not a size such as 100GB"),
    "size_0": (
        storage(checkpoint_size=0),
        "storage.checkpoint_size is not above 0; expected a size such as 100GB",
    ),
    "size_0_text": (storage(checkpoint_size="0.0GB"), "storage.checkpoint_size is not above 0"),
    "size_bytes": (
        storage(scratch=40_000_000_000),
        "storage.scratch is more than 1000000000 GB; a number is in GB",
    ),
    "size_huge": (storage(scratch=HUGE), "storage.scratch is more than 1000000000 GB"),
    "size_nan": ("storage: {scratch: .nan}\n", "storage.scratch is not above 0"),
    "size_true": (
        storage(scratch=True),
        "storage.scratch is a boolean (true); expected a size such as 100GB",
    ),
    "disk": (spec(resources={"disk": "big"}), "resources.disk is not a size such as 100GB"),
    "memory": (spec(memory="lots"), "memory is not a memory size such as 40GB or 24GB+ (at least)"),
    "memory_0": (spec(memory="0GB+"), "memory is not above 0"),
    "memory_list": (spec(memory=[200]), "memory is a list; expected a memory size such as 40GB"),
    "memory_below": (spec(memory=-1), "memory is not above 0"),
    "duration": (
        storage(write_time="2 minutes"),
        "storage.write_time is not a duration such as 90s, 10m, 6h or 2d",
    ),
    "duration_0": (
        storage(write_time=0),
        "storage.write_time is not above 0; expected seconds, or a duration",
    ),
    "duration_0_text": (storage(checkpoint_every="0s"), "storage.checkpoint_every is not above 0"),
    "duration_long": (storage(write_time=HUGE), "storage.write_time is more than 1000000000 seconds"),
    "duration_list": (
        spec(launcher={"collective_timeout": [1]}),
        "launcher.collective_timeout is a list; expected seconds, or a duration such as 10m",
    ),
    "mtu_low": (spec(network={"mtu": 575}), "network.mtu is 575; expected an integer from 576 to 65535"),
    "mtu_high": (spec(network={"mtu": 65536}), "network.mtu is 65536; expected an integer from 576"),
    "mtu_text": (spec(network={"mtu": "9000"}), "network.mtu is a string (remove the quotes)"),
    "variable": (spec(env={"A-B": "x"}), "env.A-B is not a name of a variable"),
    "variable_list": (spec(env={"A": [1]}), "env.A is a list; expected a string or a number"),
    "variable_null": (spec(env={"A": None}), "env.A is empty (null); expected a string or a number"),
    "variable_true": (spec(envs={"A": True}), "envs.A is a boolean (true); expected a string or a number"),
    "variable_huge": (spec(env={"A": HUGE}), "env.A is a very large number; quote it"),
    "variable_node": (nodes({"host": "a", "env": {"1": "x"}}), "nodes.0.env.1 is not a name of a variable"),
    "interface": (
        spec(network={"interface": "eth0; ls"}),
        "network.interface is not a name of a network interface",
    ),
    "interface_long": (spec(network={"interface": "e" * 16}), "network.interface is not a name of a network"),
    "interface_option": (spec(network={"interface": "-x"}), "network.interface is not a name of a network"),
    "address": (nodes({"host": "a", "address": "a b"}), "nodes.0.address is not a host name or IP address"),
    "address_option": (
        nodes({"host": "a", "address": "-f"}),
        "nodes.0.address is not a host name or IP address",
    ),
    # host specs
    "transport": (
        nodes("telnet://a"),
        "nodes.0 has a transport that is not one of local, ssh, docker, podman",
    ),
    "local_host": (
        nodes("local://gpu"),
        "nodes.0 names a host, but local:// is this machine; expected ssh://HOST",
    ),
    "no_host": (nodes("ssh://"), "nodes.0 has no host; expected ssh://NAME"),
    "port_only": (nodes("ssh://:22"), "nodes.0 has no host; expected ssh://NAME"),
    "path": (nodes("docker://a/b"), "nodes.0 has text after the name; expected docker://NAME"),
    "ipv6_bare": (nodes("fe80::1"), "nodes.0 has an IPv6 address without brackets; expected ssh://[ADDRESS]"),
    "brackets": (nodes("ssh://[fe80::1"), "nodes.0 is not a host spec such as ssh://user@host"),
    "option": (
        nodes("ssh://-oProxyCommand=x"),
        "nodes.0 has a host name with characters that are not allowed",
    ),
    "option_user": (
        nodes("-oProxyCommand=x@h"),
        "nodes.0 has a user name with characters that are not allowed",
    ),
    "option_behind": (
        nodes("a@-oProxyCommand=x"),
        "nodes.0 has a host name with characters that are not allowed",
    ),
    # testinfra takes the first '@', and decodes what is behind it
    "option_twice": (
        nodes("a@-oProxyCommand=x@h"),
        "nodes.0 has a user name with characters that are not allowed",
    ),
    "port": (nodes("ssh://root@a:70000"), "nodes.0 has a port above 65535"),
    "option_coded": (nodes("ssh://%2doProxyCommand%3dx"), "nodes.0 has a host name with characters that are"),
    "query": (nodes("ssh://a?ssh_confg=x"), "did you mean 'ssh_config'?"),
    "two_hosts": (
        "name: 3\nnodes: [telnet://a, a, ssh://a]\n",
        "nodes.2 has the name a, as nodes.1 has; name it",
    ),
    "twice": (nodes("a", "me@a:2222"), "nodes.1 has the name a, as nodes.0 has; name it"),
    "twice_named": (nodes("a", {"host": "b", "name": "a"}), "nodes.1 has the name a, as nodes.0 has"),
    "two_locals": (nodes("local://", "localhost"), "nodes.1 has the name local, as nodes.0 has"),
    # contradictions
    "said_twice": ("nodes: [a]\nnodes: [b]\n", "nodes is given more than once; this value is used"),
    "gpus_said_twice": ("gpus: {count: 1, count: 2}\n", "gpus.count is given more than once"),
    "count": (nodes("a", "b", num_nodes=3), "num_nodes is 3, but nodes names 2"),
    "count_huge": (nodes("a", num_nodes=HUGE), "num_nodes is a very large number, but nodes names 1"),
    "launcher_other": (
        spec(run="torchrun x", launcher={"name": "horovodrun"}),
        "launcher.name is horovodrun, but run starts torchrun",
    ),
    "args_other": (
        spec(run="torchrun --max_restarts 3 x", launcher={"args": {"max-restarts": 2}}),
        "launcher.args.max-restarts differs from run; keep one of them",
    ),
    "gpus_twice": (spec(**_TOKENS), "resources.gpu is given together with gpus; keep one of them"),
    "gpus_skypilot": (
        spec(resources={"gpu": {"count": 1}, "accelerators": "A100"}),
        "resources.accelerators is given together with resources.gpu; keep one of them",
    ),
    "gpus_sky_twice": (
        spec(gpus={"count": 1}, resources={"accelerators": "A100"}),
        "resources.accelerators is given together with gpus; keep one of them",
    ),
    "memory_twice": (
        spec(memory="1GB", resources={"memory": 1}),
        "resources.memory is given together with memory",
    ),
    "env_twice": (spec(env={"A": "x"}, envs={"A": "y"}), "envs.A is in env too; keep one of them"),
}
"""What is wrong, and the sentence that launch[schema] says."""

PASSWORDS = {
    name: nodes(text.format(SECRET))
    for name, text in {
        "plain": "ssh://me:{}@h",
        "bare": "me:{}@h",
        "at": "ssh://me:{}@x@h",
        "slash": "ssh://me:1/{}@h",
        "slash_text": "ssh://me:a/{}@h",
        "hash": "ssh://me:1#{}@h",
        "question": "ssh://me:1?{}@h",
        "query": "ssh://me:1?{}=x@h",
        "no_user": "ssh://:{}@h",
        "transport": "telnet://me:{}@h",
        "coded": "ssh://me%3A{}@h",
        "option": "ssh://h?password={}",
        "docker": "docker://me:{}@box",
        "local": "local://me:{}@h",
        "ansible": "ansible://me:{}@h",
        "brackets": "ssh://me:{}@[h",
    }.items()
}
"""Nodes with a password where people put one: refused, and never shown."""

NOT_IN_JSON = {
    *("key_number", "key_resources", "args_huge", "accelerators", "size_nan", "variable_huge"),
    *("transport", "local_host", "no_host", "port_only", "path", "ipv6_bare", "brackets", "query"),
    *("option", "option_user", "option_behind", "option_twice", "option_coded", "port"),
    *("twice", "twice_named", "two_locals", "count", "count_huge", "launcher_other", "args_other"),
    *("gpus_twice", "gpus_skypilot", "gpus_sky_twice", "memory_twice", "env_twice"),
    *("said_twice", "gpus_said_twice"),
}
"""What the JSON Schema says nothing to: the inside of host specs, what two places say together, and what
JSON cannot hold."""
