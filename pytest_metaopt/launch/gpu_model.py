"""The model of a GPU: whether a product name is the requested one."""

from __future__ import annotations

import re

_LONGEST_NAME = 200
"""Characters of a product name that are looked at."""
_BRANDS = frozenset({"NVIDIA", "TESLA", "GEFORCE", "QUADRO"})
_NEUTRAL = frozenset(
    [
        "RTX",
        "GPU",
        # Air-cooled: "NVIDIA B300 SXM6 AC".
        "AC",
        "NVL",
        "PCIE",
        "FHHL",
        "DGXS",
        "GENERATION",
        "BLACKWELL",
        "SERVER",
        "WORKSTATION",
        "EDITION",
    ]
)
_FORM = re.compile(r"SXM[0-9]?|HBM[0-9]?E?|MEGA")
_MEMORY = re.compile(r"([0-9]+)GB?")
_WORD = re.compile(r"(RTX|GTX)?(PRO(?=[0-9]))?([A-Z]*[0-9]+)?(TI|SUPER)?")


def accepts_model(expected: str, found: str) -> bool:
    """Return whether the product name *found* is one of the model *expected*.

    *expected* is what people, SkyPilot and Vast write: ``A100``, ``A100-80GB``, ``H100-SXM``, ``RTX4090``,
    ``RTX 4090``, ``RTX6000-Ada``. Each word of it has to stand in the name, and the name may add brand,
    memory and form, nothing that makes it another product (Ti, SUPER, Ada, Laptop, Max-Q).

    SXM boards of Hopper and Blackwell do not say so ("NVIDIA H100 80GB HBM3"), the others do ("NVIDIA H100
    PCIe", "NVIDIA H100 NVL"): what is neither is SXM. A name without memory does not contradict one with.
    """
    requested, have = _words(expected), _words(found)
    model = {word for word in requested if not _is_form(word)}
    if not model - _NEUTRAL or not model <= have:
        return False
    if any(not _is_form(word) and word not in _NEUTRAL for word in have - model):
        return False
    memories = {word for word in have if _MEMORY.fullmatch(word)}
    if memories and not {word for word in requested if _MEMORY.fullmatch(word)} <= memories:
        return False
    forms = {word for word in requested if word.startswith("SXM")}
    if forms and have & {"PCIE", "NVL"}:
        return False
    given_forms = {word for word in have if word.startswith("SXM")}
    return not (given_forms and forms) or "SXM" in forms or bool(forms & given_forms)


def _is_form(word: str) -> bool:
    return bool(_FORM.fullmatch(word) or _MEMORY.fullmatch(word))


def _words(name: str) -> frozenset[str]:
    """Return the words of a name, glued ones taken apart; boards of clouds carry a number of their own."""
    plain = re.sub(r"-PG[0-9]{3}-[0-9]{3}", "", name[:_LONGEST_NAME].upper())
    words: set[str] = set()
    for word in re.findall(r"[A-Z0-9]+", plain):
        memory = _MEMORY.fullmatch(word)
        parts = _WORD.fullmatch(word)
        if memory and word.endswith(("G", "GB")):
            words.add(f"{memory[1]}GB")
        elif parts:
            words.update(part for part in parts.groups() if part)
        else:
            words.add(word)
    return frozenset(words - _BRANDS)
