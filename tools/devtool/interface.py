# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play can name in an installed collection, and what of it a later version has lost."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from devtool.checkout import COLLECTION
from devtool.process import capture

NAME = ".".join(COLLECTION.parts[1:])
KINDS = ("module", "filter", "role")
SECONDS = 300


@dataclass(frozen=True)
class Interface:
    """Options by "module vfio.variants.x" and the like; `announced` are plugins that meta/runtime.yml says are gone or renamed."""

    options: Mapping[str, frozenset[str]]
    playbooks: frozenset[str]
    announced: frozenset[str] = frozenset()


def installed(folder: Path, ansible_doc: str, env: Mapping[str, str]) -> Interface:
    """The interface of the collection below a collections path, as its own documentation says."""
    root = folder / COLLECTION
    env = {**env, "ANSIBLE_COLLECTIONS_PATH": str(folder)}
    options: dict[str, frozenset[str]] = {}
    # Everything at once, as antsibull-docs asks for it; each start of the program takes longer than the answer.
    shown = json.loads(capture([ansible_doc, "--metadata-dump", NAME], env=env, cwd=folder, seconds=SECONDS))["all"]
    for kind in KINDS:
        for name, said in shown[kind].items():
            options[f"{kind} {name}"] = frozenset(_role_options(said) if kind == "role" else _names(said["doc"].get("options", {})))
    routing = (yaml.safe_load((root / "meta/runtime.yml").read_text(encoding="utf-8")) or {}).get("plugin_routing", {})
    announced = frozenset(f"{kind.removesuffix('s')} {NAME}.{name}" for kind, plugins in routing.items() for name in plugins)
    return Interface(options, frozenset(path.stem for path in root.glob("playbooks/*.yml")), announced)


def losses(before: Interface, after: Interface) -> list[str]:
    """One sentence for each thing that a play of before can name and that is not there any more."""
    found = []
    for name, options in sorted(before.options.items()):
        if name not in after.options:
            found += [] if name in after.announced else [f"{name} is gone, and meta/runtime.yml does not say so"]
            continue
        found += [f"{name} has no option {option} any more" for option in sorted(options - after.options[name])]
    return [*found, *(f"playbook {NAME}.{name} is gone" for name in sorted(before.playbooks - after.playbooks))]


def _names(options: Mapping[str, t.Any], above: str = "") -> list[str]:
    """Options, their aliases and suboptions, the latter behind the name of what they are in."""
    found = []
    for name, option in options.items():
        found += [f"{above}{spelled}" for spelled in (name, *option.get("aliases", ()))]
        inner = option.get("suboptions") or (option.get("options") if isinstance(option.get("options"), dict) else None) or {}
        found += _names(inner, f"{above}{name}.")
    return found


def _role_options(said: Mapping[str, t.Any]) -> list[str]:
    return [name for entry in said.get("entry_points", {}).values() for name in _names(entry.get("options", {}))]
