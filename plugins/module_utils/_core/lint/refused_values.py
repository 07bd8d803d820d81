# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that a parameter's type refuses: the kernel then does not load the module at all."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import given_to
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import IGNORED, objection_of
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

NAMED_ELSEWHERE = ("ids", *IGNORED)


def refused_values(host: HostPolicy) -> t.Iterator[Finding]:
    """`options nouveau modeset=off`: parse_args() in kernel/params.c ends with an error, and load_module() with it.

    `ids=` has checks of its own; of what is built in the kernel keeps the default and goes on.
    """
    for boot, root in host.roots:
        for module in root.config.modules_with_options:
            facts = boot.modules.get(module)
            if facts is None or not facts.types or (module in root.kernel.builtins and module not in root.kernel.modules):
                continue
            for given in given_to(root.config, module):
                kind = facts.types.get(normalize_module_name(given.name))
                found = None if kind is None or given.name in NAMED_ELSEWHERE else objection_of(module, kind, given, boot.possible_cpus)
                if found is not None and found.certain:
                    source = str(given.source)
                    said = f"{source}: `{given}` is refused, because it {found.why}: {module} does not load."
                    yield Finding("refused-value", source, f"{said} Correct the value, or remove it.")
