# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module's work on its host and turns errors into messages.

A module goes from a request to a result.  Its own function `request()` makes the request, a frozen dataclass, from the options,
and nothing else knows their names; the core takes requests only.  Results are dataclasses, too, and each one's method `result()`
makes what the module returns, with the names that its RETURN documents.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, interruptible

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Result = dict[str, t.Any]
"""What a module returns, or a part of it: JSON values only."""

NOT_FINITE = "An option that takes a whole number was given infinity. Write a number."


@contextlib.contextmanager
def readable_options() -> t.Iterator[None]:
    """Around the creation of an AnsibleModule: an option that Ansible itself cannot convert ends in a sentence, too.

    check_type_int() in ansible-core raises OverflowError for infinity, which YAML writes as `.inf`.
    """
    try:
        yield
    except OverflowError:
        print(json.dumps({"failed": True, "msg": NOT_FINITE}))
        sys.exit(1)


def run_module(module: AnsibleModule, work: t.Callable[[Host], t.Mapping[str, t.Any]], root: str = "/") -> None:
    """Do a module's work on its host and exit with what it returns; HostError and OSError become ``fail_json``, never a traceback.

    So does a signal that ends the process, once what was begun is undone.
    ``warnings`` in the result are passed to Ansible as warnings.
    """
    try:
        with interruptible():
            result = dict(work(Host.from_module(module, root)))
    except HostError as error:
        hint = {} if error.hint is None else {"hint": error.hint}
        module.fail_json(msg=str(error), **{**error.facts, **hint})
    except Interrupted as error:
        module.fail_json(msg=f"The run was ended by {error.name}; what it had begun has been undone.")
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        module.fail_json(msg=f"{what}{error.strerror or os.strerror(error.errno or 0)}.")
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(**result)
