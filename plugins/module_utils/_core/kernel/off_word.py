# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word of the kernel's command line that switches our policies off for one boot, and how udev and kmod come to obey it.

udev asks for the word itself.  kmod cannot: its files know no conditions.  But it runs the command of an `install` line in place
of loading the module, and that command can.
"""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

OFF_WORD = "vfio_variants"
OFF = "off"
ARGUMENT = f"{OFF_WORD}={OFF}"
WITHOUT_IDS = ARGUMENT
"""In place of an alias that a module is found by: it is loaded by our `install` line, and takes no IDs."""
# A shell's `case` finds the word between blanks only, with a dash or not, as udev does (proc_cmdline_key_streq() in systemd).
_HEARD_BY_SHELL = re.compile(r" vfio[-_]variants=off ")


def install_command(module: str) -> str:
    """Loads the module as kmod would have done, but without the IDs of its options if the word is there.

    The last `ids=` counts, and kmod puts what is given in the command behind the options of its files.  The shell's own
    commands are enough, since an initramfs need have no others.
    """
    return (
        'read -r words < /proc/cmdline; case " $words " in *" vfio"[-_]"variants=off "*) ids=ids= ;; *) ids= ;; esac; '
        f"exec /sbin/modprobe -q -i {module} $CMDLINE_OPTS $ids"
    )


def is_install_command(text: str, module: str) -> bool:
    """Whether the command of an `install` line of a module is ours."""
    return text.strip() == install_command(module)


def is_heard_by_shell(cmdline: Cmdline) -> bool:
    """Whether the command of our `install` line finds the word."""
    return _HEARD_BY_SHELL.search(f" {' '.join(cmdline.arguments)} ") is not None


def is_heard_by_udev(cmdline: Cmdline) -> bool:
    """Whether our rules find the word: the last value counts, and quotes do not."""
    found = [value for name, value in (_unquoted(argument) for argument in cmdline.arguments) if name == OFF_WORD]
    return bool(found) and found[-1] == OFF


def _unquoted(argument: str) -> tuple[str, str]:
    name, _equals, value = argument.replace('"', "").partition("=")
    return name.replace("-", "_"), value


def without(cmdline: Cmdline) -> tuple[str, ...]:
    """The arguments without the word, whatever its value."""
    return tuple(argument for argument in cmdline.arguments if _unquoted(argument)[0] != OFF_WORD)
