# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's call from its options to its end, whatever the module is about."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
import typing as t

from ansible.module_utils import basic

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut, of_system
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import Interrupted, interruptible
from ansible_collections.vfio.variants.plugins.module_utils._core.host.option_types import refuse_wrong
from ansible_collections.vfio.variants.plugins.module_utils._core.host.usable_options import refuse_unusable

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.vfio.variants.plugins.module_utils._core.host.option_types import ArgumentSpec

LONGEST_SENTENCE = 4000
"""Characters: what a file says can be part of a sentence, and be as long as the file."""
_UNEXPECTED = "This is a fault of the collection"
REPORT = "Report it, with this sentence and the module's options: SECURITY.md says how."


@contextlib.contextmanager
def readable_options(arguments: ArgumentSpec) -> t.Iterator[None]:
    """Around the creation of an AnsibleModule: what its spec does not allow is refused before Ansible converts it."""
    try:
        # What AnsibleModule() itself calls to get its options, and made for modules that look at them first.
        options = basic._load_params()  # type: ignore[no-untyped-call]
    except Exception as error:
        _fail(f"The options cannot be read: {cut(str(error.__cause__ or error))}.")
    try:
        # ansible-test puts functions in its place that give no options, where Ansible gives its own at least: it asks for the spec alone.
        if options:
            refuse_wrong(options, arguments)
        yield
    except HostError as error:
        _fail(str(error))
    except (ArithmeticError, RecursionError, ValueError) as error:
        _fail(f"An option has a value that Ansible cannot convert: {cut(str(error))}.")


def _fail(sentence: str) -> t.NoReturn:
    sys.stdout.write(json.dumps({"failed": True, "msg": sentence}) + "\n")
    raise SystemExit(1)


def conclude(module: AnsibleModule, work: t.Callable[[], t.Mapping[str, t.Any]]) -> None:
    """Do a module's work and exit with what it returns; HostError and OSError become ``fail_json``, never a traceback.

    So does a signal that ends the process, once what was begun is undone.
    ``warnings`` in the result are passed to Ansible as warnings.
    """
    try:
        with interruptible():
            # Again, because Ansible makes texts of lists.
            refuse_unusable(module.params)
            result = dict(work())
    except HostError as error:
        module.fail_json(msg=cut(str(error), LONGEST_SENTENCE), **error.facts)
    except Interrupted as error:
        module.fail_json(msg=f"The run was ended by {error.name}; what it had begun has been undone.")
    except OSError as error:
        module.fail_json(msg=of_system(error))
    except Exception as error:
        module.fail_json(msg=f"{_UNEXPECTED}: {type(error).__name__} at {_place(error)}: {cut(str(error))}. {REPORT}")
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(**result)


def _place(error: Exception) -> str:
    """The file and line of the collection's code that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{os.path.basename(last.filename)}:{last.lineno}"
