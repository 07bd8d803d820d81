# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of Ansible in a text: those in blocks without a language or of a shell, in code within a sentence, and in comments."""

from __future__ import annotations

import re
import shlex
import typing as t

from ansible.cli.adhoc import AdHocCLI
from ansible.cli.doc import DocCLI
from ansible.cli.playbook import PlaybookCLI
from ansible.parsing.splitter import parse_kv

from ansible_collections.vfio.variants.tests.unit.documented_options import COLLECTION, MODULES, ROLES, ROOT, module_refusals, role_refusals

BLOCK = re.compile(r"^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^\s*(?:\$ |# )?(ansible(?:-playbook|-doc)? .+)$", re.MULTILINE)
COMMENT = re.compile(r"^\s*# (ansible(?:-playbook|-doc)? .+)$", re.MULTILINE)
INLINE = re.compile(r"(?:`|C\()(ansible(?:-playbook|-doc)? [^`)\n]+)[`)]")
# What a reader has to fill in; the brackets of what can be left out are taken away.
OPEN = "…"
PROGRAMS: dict[str, t.Any] = {"ansible": AdHocCLI, "ansible-playbook": PlaybookCLI, "ansible-doc": DocCLI}


def commands(text: str) -> list[str]:
    """Each once, in the order of the text."""
    joined = text.replace("\\\n", " ")
    blocks = [found["text"] for found in BLOCK.finditer(joined) if found["language"] not in ("yaml", "yml")]
    prose = BLOCK.sub("", joined)
    found = [command for block in blocks for command in LINE.findall(block)] + COMMENT.findall(prose) + INLINE.findall(prose)
    return [command.replace("[", "").replace("]", "").strip() for command in dict.fromkeys(found) if OPEN not in command]


def faults(command: str) -> list[str]:
    """What is wrong with a command, a sentence each: flags, modules, playbooks, options and their values."""
    program, *words = shlex.split(command, comments=True)
    cli = PROGRAMS[program]([program, *words])
    cli.init_parser()
    try:
        given = cli.parser.parse_args(words)
    except SystemExit:
        return [f"{program} does not take {' '.join(words)}"]
    variables = _variables(given.extra_vars) if program != "ansible-doc" else {}
    if program == "ansible":
        return [*_of_module(given.module_name, given.module_args), *_of_roles(variables)]
    if program == "ansible-playbook":
        return [message for name in given.args for message in _of_playbook(name, variables)]
    return [f"there is no {name}" for name in given.args if name.startswith(f"{COLLECTION}.") and not _is_plugin(name)]


def _of_module(name: str, arguments: str) -> list[str]:
    if name not in MODULES:
        return [f"there is no module {name}"] if name.startswith(f"{COLLECTION}.") else []
    options = {str(option): str(value) for option, value in parse_kv(arguments).items()}
    return [f"{name}: {message}" for message in module_refusals(name, options)]


def _of_playbook(name: str, variables: dict[str, str]) -> list[str]:
    if not name.startswith(f"{COLLECTION}."):
        return _of_roles(variables)
    path = ROOT / "playbooks" / f"{name.removeprefix(COLLECTION + '.').replace('.', '/')}.yml"
    if not path.is_file():
        return [f"there is no playbook {name}"]
    text = path.read_text(encoding="utf-8") + "".join(one.read_text(encoding="utf-8") for one in path.parent.glob("fleet/*.yml"))
    return [f"{name}: nothing reads {variable}" for variable in variables if not re.search(rf"\b{re.escape(variable)}\b", text)]


def _of_roles(variables: dict[str, str]) -> list[str]:
    found: list[str] = []
    for role in ROLES:
        own = {name: value for name, value in variables.items() if name.startswith(f"{role}_")}
        found += [f"{role}: {message}" for message in role_refusals(role, own)] if own else []
    return found


def _variables(extra: list[str] | None) -> dict[str, str]:
    pairs = [parse_kv(one) for one in extra or () if not one.startswith(("@", "{"))]
    return {str(name): str(value) for one in pairs for name, value in one.items()}


def _is_plugin(name: str) -> bool:
    own = name.removeprefix(f"{COLLECTION}.")
    return name in MODULES or own in ROLES or (ROOT / "plugins/filter" / f"{own}.py").is_file()
