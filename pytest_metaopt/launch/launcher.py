"""Launchers: what starts the ranks, and the options that its command line gives it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NAMES = ("torchrun", "horovodrun", "deepspeed", "accelerate", "mpirun", "srun", "python")
"""The launchers that are known; checks read the first two."""

_MODULES = {
    "torch.distributed.run": "torchrun",
    "torch.distributed.launch": "torchrun",
    "horovod.runner": "horovodrun",
    "horovod.runner.launch": "horovodrun",
    "deepspeed.launcher.runner": "deepspeed",
}
_FLAGS: Mapping[str, frozenset[str]] = {
    # torch 2.5.1 (torch/distributed/run.py): the options that take no value.
    "torchrun": frozenset({"standalone", "module", "m", "no_python", "run_path"}),
    # horovod 0.28.1 (horovod/runner/launch.py): the same.
    "horovodrun": frozenset(
        {
            *("verbose", "disable_cache", "check_build", "cb", "gloo", "mpi", "jsrun", "tcp"),
            *("autotune", "no_autotune", "hierarchical_allreduce", "no_hierarchical_allreduce"),
            *("hierarchical_allgather", "no_hierarchical_allgather", "stall_check", "no_stall_check"),
            *("timeline_mark_cycles", "no_timeline_mark_cycles", "log_with_timestamp"),
            *("log_without_timestamp", "prefix_output_with_timestamp"),
        }
    ),
}
_ALIASES: Mapping[str, Mapping[str, str]] = {
    "horovodrun": {
        "min_np": "min_num_proc",
        "max_np": "max_num_proc",
        "np": "num_proc",
        "n": "num_proc",
    },
}
_TWO_VALUES = frozenset({"blacklist_cooldown_range"})
_SEPARATORS = frozenset({"&&", "||", ";", ";;", "|", "|&", "&"})
_OPENERS = frozenset({"(", "{", "!", "if", "while", "until", "then", "else", "elif", "do"})
_WRAPPERS = frozenset({"exec", "env", "nohup", "time", "sudo", "nice", "stdbuf", "timeout", "numactl"})
"""Commands that run the one behind them."""
_RUNNERS = frozenset(
    {
        *("uv", "poetry", "pdm", "pipenv", "rye", "hatch", "pixi", "conda", "mamba", "micromamba"),
        *("apptainer", "singularity", "docker", "podman", "enroot", "coverage"),
    }
)
"""Commands that run the one behind ``run`` or ``exec``, their own options and an image or environment."""
_PARALLEL = frozenset({"srun", "mpirun"})
"""Launchers that may start another launcher, once a node."""
_SHELLS = frozenset({"sh", "bash"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=.*", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_PYTHON = re.compile(r"python[0-9.]*")
_SUBSTITUTION = re.compile(r"\$\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)|`[^`\n]*`")
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_UNKNOWN = "$_"
_MOST_DIGITS = 18
_DEEPEST = 3


@dataclass(frozen=True)
class Launcher:
    """A launcher.

    :param name: one of ``NAMES``.
    :param options: its options, by the option's name without dashes, ``-`` as ``_``: ``max_restarts``.
        An option without a value is ``""``.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    def option(self, name: str) -> str | None:
        """Return what an option is given; None: it is not."""
        return self.options.get(canonical(self.name, name))

    @property
    def nodes(self) -> int | None:
        """How many nodes torchrun is to wait for, at most: ``--nnodes 4``, ``2:4``; None: not given."""
        given = self.option("nnodes") if self.name == "torchrun" else None
        most = given.rpartition(":")[2] if given is not None and self.option("standalone") is None else ""
        return int(most) if is_whole(most) and int(most) > 0 else None

    def integer(self, name: str) -> int | None:
        """Return an option's value where it is a whole number."""
        value = self.option(name)
        return int(value) if value is not None and is_whole(value) else None


def canonical(launcher: str, option: str) -> str:
    """Return the one name of an option that is written in several ways."""
    name = option.strip("-").replace("-", "_")
    return _ALIASES.get(launcher, {}).get(name, name)


def is_whole(text: str) -> bool:
    """Return whether *text* is a whole number of a size that somebody may mean."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def with_variables(known: Launcher, variables: Mapping[str, str]) -> Launcher:
    """Return the launcher with what is known of the variables (``$N``, ``${N}``) in its options put in."""

    def value(found: re.Match[str]) -> str:
        return variables.get(found[1] or found[2], found[0])

    return Launcher(known.name, {name: _VARIABLE.sub(value, text) for name, text in known.options.items()})


def known_later(value: str) -> bool:
    """Return whether the *value* of an option is known once the shell runs only."""
    return "$" in value or "`" in value


def of_command(command: str) -> Launcher | None:
    """Return the launcher that a shell *command* starts; None where it starts none that is known.

    Of several the first counts, but one that ``srun`` or ``mpirun`` starts on every node counts for more.
    What stands in variables stays unknown.
    """
    found = list(_launchers(command, 0))
    return next((one for one in found if one.name not in _PARALLEL), found[0] if found else None)


def _launchers(command: str, depth: int) -> Iterator[Launcher]:
    if depth > _DEEPEST:
        return
    simple: list[str] = []
    for word in [*_words(command), ";"]:
        if word in _SEPARATORS or (word.strip("()") == "" and word):
            yield from _started(simple, depth)
            simple = []
        else:
            simple.append(word)


def _started(words: Sequence[str], depth: int) -> Iterator[Launcher]:
    """Yield the launchers that a simple command starts: one, or one behind another."""
    wrapped = behind_option = parallel = False
    for index, word in enumerate(words):
        name = word.rsplit("/", 1)[-1]
        if wrapped and word.startswith("-"):
            behind_option = "=" not in word
            continue
        if _ASSIGNMENT.fullmatch(word) or word in _OPENERS:
            continue
        if _PYTHON.fullmatch(name):
            rest = words[index + 1 :]
            module = _module(rest)
            if module is not None:
                yield _launcher(_launched(rest[module]), rest[module + 1 :])
            return
        if name in _RUNNERS:
            yield from _started_by_runner(words[index + 1 :], depth)
            return
        if name in _SHELLS:
            rest = words[index + 1 :]
            script = next((at for at, one in enumerate(rest) if re.fullmatch(r"-[a-z]*c", one)), None)
            if script is not None and len(rest) > script + 1:
                yield from _launchers(rest[script + 1], depth + 1)
            return
        if name in NAMES and not (parallel and name in _PARALLEL):
            yield _launcher(name, words[index + 1 :])
            parallel = True
        if name in _WRAPPERS or name in _PARALLEL:
            wrapped = True
        elif name in NAMES or not (wrapped and (behind_option or _is_amount(word))):
            return
        behind_option = False


def _is_amount(word: str) -> bool:
    """Return whether a word may be what ``timeout 3h`` takes."""
    return re.fullmatch(r"[0-9.]+[smhd]?", word) is not None


def _started_by_runner(words: Sequence[str], depth: int) -> Iterator[Launcher]:
    """Yield what ``uv run``, ``apptainer exec IMAGE`` and their like start.

    Which of their options take a value is theirs: the first word that is a launcher, Python or a shell is it.
    """
    verb = next((index for index, word in enumerate(words) if word in {"run", "exec", "start"}), None)
    rest = words[verb + 1 :] if verb is not None else ()
    for index, word in enumerate(rest):
        name = word.rsplit("/", 1)[-1]
        if name in NAMES or name in _SHELLS or _PYTHON.fullmatch(name):
            yield from _started(rest[index:], depth)
            return
        if word == "-m" and rest[index + 1 : index + 2] and rest[index + 1] in _MODULES:
            yield _launcher(_MODULES[rest[index + 1]], rest[index + 2 :])
            return


def _module(words: Sequence[str]) -> int | None:
    """Return where a command gives Python a launcher: ``-u -m torch.distributed.run``, ``bin/torchrun``."""
    skipped = False
    for index, word in enumerate(words):
        if skipped:
            skipped = False
        elif word == "-m":
            return index + 1 if words[index + 1 : index + 2] and words[index + 1] in _MODULES else None
        elif not word.startswith("-"):
            return index if word.rsplit("/", 1)[-1] in _MODULES.values() else None
        skipped = word in {"-W", "-X"}
    return None


def _launched(word: str) -> str:
    return _MODULES.get(word) or word.rsplit("/", 1)[-1]


def with_arguments(known: Launcher | None, name: str | None, arguments: Mapping[str, Any]) -> Launcher | None:
    """Return the launcher that a launch spec names, with the options that it gives.

    :param known: what the command line says; what the spec says itself counts for more.
    """
    chosen = name or (known.name if known else None)
    if chosen is None:
        return None
    base = dict(known.options) if known is not None and known.name == chosen else {}
    given = {canonical(chosen, key): _text(value) for key, value in arguments.items()}
    return Launcher(chosen, {**base, **given})


def _text(value: object) -> str:
    return "" if value is True else str(value)


def _words(command: str) -> list[str]:
    # What another command says is one word, and known later.
    plain = _SUBSTITUTION.sub(_UNKNOWN, _COMMENT.sub("", command.replace("\\\n", " ")))
    words = _split(plain.replace("\n", " ; "))
    if words is not None:
        return words
    # Quotes that do not close: in a comment or a here-document, say. The other lines are what they are.
    found: list[str] = []
    for line in plain.split("\n"):
        split = _split(line)
        found += [*(line.split() if split is None else split), ";"]
    return found


def _split(text: str) -> list[str] | None:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        return None


def _launcher(name: str, words: Sequence[str]) -> Launcher:
    return Launcher(name, dict(_options(name, words)))


def _options(name: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options in front of the script."""
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if not word.startswith("-") or word == "--":
            return
        option, equals, value = word.partition("=")
        key = canonical(name, option)
        if equals:
            yield key, value
        elif key in _FLAGS.get(name, frozenset()):
            yield key, ""
        elif position < len(words) and not words[position].startswith("-"):
            yield key, words[position]
            position += 2 if key in _TWO_VALUES else 1
        else:
            yield key, ""
