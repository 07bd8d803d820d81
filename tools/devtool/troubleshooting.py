# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages on troubleshooting: every sentence of errors, warnings and reasons, with the advice that is given, by what it is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devtool.sentences import ERROR, HOLE, REASON, WARNING, Sentence


@dataclass(frozen=True)
class Subject:
    """A page: its name, what the sentences are about, and the guide that explains it."""

    name: str
    title: str
    guide: str
    folders: tuple[str, ...]


CORE = "plugins/module_utils/_core"
SUBJECTS = (
    Subject("devices", "Devices and selectors", "docs/guards.md", (f"{CORE}/pci",)),
    Subject("claims", "Claims, guards and binding", "docs/guards.md", (f"{CORE}/claim", f"{CORE}/apply")),
    Subject("policy", "The boot policy", "docs/who-wins.md", (f"{CORE}/policy",)),
    Subject("configuration", "Warnings about the configuration", "docs/who-wins.md", (f"{CORE}/lint",)),
    Subject("forecast", "Forecasts of a boot", "docs/who-wins.md", (f"{CORE}/forecast", f"{CORE}/boot", f"{CORE}/report")),
    Subject("loader", "Boot loaders", "docs/who-wins.md", (f"{CORE}/boot_loader", f"{CORE}/distribution")),
    Subject("initramfs", "The initramfs", "docs/who-wins.md", (f"{CORE}/initramfs",)),
    Subject("kernel", "Kernels, modules and modprobe.d", "docs/who-wins.md", (f"{CORE}/kernel",)),
    Subject("udev", "udev rules", "docs/who-wins.md", (f"{CORE}/udev",)),
    Subject("startup", "What starts by itself", "docs/who-wins.md", (f"{CORE}/startup",)),
    Subject("drivers", "Drivers and DKMS", "docs/drivers.md", (f"{CORE}/dkms", "plugins/plugin_utils/source_archive.py")),
    Subject("files", "Files, commands and options", "docs/reliability.md", (f"{CORE}/host",)),
    Subject("roles", "Roles and modules", "roles/vfio_host/README.md", ("roles", "playbooks", "plugins/modules")),
    Subject("testbed", "Test machines and reports", "docs/testbed.md", ("plugins/action", "plugins/filter", "plugins/plugin_utils")),
)
KINDS = {ERROR: "Errors", WARNING: "Warnings", REASON: "Warnings, reasons and parts of other sentences"}
HEAD = """# {title}

{intro}
"""
INTRO = f"""Every sentence that the collection says, read from its source. Search for the words of yours; `{HOLE}` stands for what differs.
Most sentences name the file and the line that they are about, and what to do; further advice is below the sentence."""


def pages(found: Sequence[Sentence]) -> dict[str, str]:
    """The pages by their names, in Markdown; each sentence is on one of them."""
    by_subject: dict[str, list[Sentence]] = {subject.name: [] for subject in SUBJECTS}
    for one in found:
        by_subject[subject_of(one).name].append(one)
    listed = [subject for subject in SUBJECTS if by_subject[subject.name]]
    rows = [f"- [{subject.title}]({subject.name}.md): {len(by_subject[subject.name])} sentences" for subject in listed]
    toc = "\n".join(("```{toctree}", ":hidden:", "", *(subject.name for subject in listed), "```"))
    index = HEAD.format(title="Troubleshooting", intro=INTRO) + "\n" + "\n".join(rows) + f"\n\n{toc}\n"
    return {"index": index, **{subject.name: _page(subject, by_subject[subject.name]) for subject in listed}}


def subject_of(one: Sentence) -> Subject:
    """The first whose folders have the sentence's file."""
    return next(subject for subject in SUBJECTS if any(one.file == place or one.file.startswith(f"{place}/") for place in subject.folders))


def _page(subject: Subject, found: Sequence[Sentence]) -> str:
    intro = f"What these mean is explained in [{Path(subject.guide).stem}](../{subject.guide})."
    text = HEAD.format(title=subject.title, intro=intro)
    for kind, title in KINDS.items():
        unique: dict[str, Sentence] = {}
        for one in found:
            if one.kind == kind:
                unique.setdefault(_tidy(one.text), one)
        if unique:
            text += f"\n## {title}\n" + "".join(_entry(words, unique[words]) for words in sorted(unique, key=_key))
    return text


def _entry(words: str, one: Sentence) -> str:
    advice = f"\n{_escaped(_tidy(one.advice))}\n" if one.advice else ""
    return f"\n### {_escaped(words)}\n{advice}"


def _key(words: str) -> str:
    return re.sub(r"[^a-z ]", "", words.lower()).strip()


def _tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _escaped(text: str) -> str:
    """The text as Markdown that shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|$~^&@:-])", r"\\\1", text)
