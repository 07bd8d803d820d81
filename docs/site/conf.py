# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the documentation site, which `make docs` builds in a copy of the repository."""

from __future__ import annotations

from pathlib import Path

import yaml
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

_GALAXY = yaml.safe_load((Path(__file__).parent / "galaxy.yml").read_text(encoding="utf-8"))

project = "vfio.variants"
author = copyright = _GALAXY["authors"][0].partition(" (")[0]  # noqa: A001 - the name that Sphinx reads
version = release = _GALAXY["version"]
title = html_title = f"{project} {release}"
html_theme = "furo"
html_baseurl = _GALAXY["documentation"]
extensions = ["myst_parser", "sphinx_antsibull_ext"]
root_doc = "index"
include_patterns = ["*.md", "*.rst", "docs/**.md", "roles/*/README.md", "reference/**", "troubleshooting/*.md"]
include_patterns += ["files/kernel/*/README.md", "tests/consumer/README.md"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_heading_anchors = 4
suppress_warnings: list[str] = []
# Tables of measurements and examples of other languages are shown as they are.
highlight_language = "none"
nitpicky = False
smartquotes = False

_ANSIBLE = "https://docs.ansible.com/ansible/latest"
# What the pages of modules refer to in Ansible's own documentation, whose inventory would have to be fetched.
_PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
_BUILTIN = "ansible_collections.ansible.builtin."


def _external(_app: Sphinx, _environment: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> nodes.reference | None:
    """A link into Ansible's documentation; None for any other target, which is then an error."""
    target = str(node.get("reftarget", ""))
    page = f"collections/ansible/builtin/{target.removeprefix(_BUILTIN)}.html" if target.startswith(_BUILTIN) else _PAGES.get(target)
    return None if page is None else nodes.reference("", "", content, internal=False, refuri=f"{_ANSIBLE}/{page}")


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", _external)
