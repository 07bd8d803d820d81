# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a policy's files; None where a file would say nothing.  The same facts give the same text."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import off_word
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import header, modules_line

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.ids import Softdep

END = "vfio_variants_end"
"""The label behind the last rule; udev seeks it in the same file only."""


def softdeps(name: str, lines: t.Sequence[Softdep]) -> str | None:
    """Goes before every other file, since kmod obeys only the first softdep of a module."""
    if not lines:
        return None
    return (
        header(name)
        + "# kmod obeys only the first softdep line of a module, depmod's own included: hence this file's number.\n"
        + "".join(f"{line}\n" for line in lines)
    )


def modprobe(
    name: str, ids: t.Mapping[str, t.Sequence[str]], blacklisted: t.Sequence[str], switchable: t.Collection[str] = ()
) -> str | None:
    """``switchable`` are those of the modules with IDs that may have an `install` line of ours."""
    if not ids and not blacklisted:
        return None
    lines = [f"options {module} ids={','.join(entries)}\n" for module, entries in ids.items()]
    installs = [f"install {module} {off_word.install_command(module)}\n" for module in ids if module in switchable]
    if installs:
        lines += [f"# {off_word.ARGUMENT} on the kernel's command line: without these IDs for one boot.\n", *installs]
    return header(name) + "".join([*lines, *(f"blacklist {native}\n" for native in blacklisted)])


def rules(name: str, lines: t.Sequence[str], undoing: t.Sequence[str] = (), nodes: t.Sequence[str] = ()) -> str | None:
    """The rule number does not matter: udev writes attributes while it reads the rules, and loads modules afterwards.

    ``undoing`` are for a boot in which the policy is switched off.  udev sorts the keys of a rule, so that an import comes after
    all comparisons of its line: hence a line of its own.  No earlier rule can have set the property once it is emptied.
    ``nodes`` are about the devices of VFIO.
    """
    if not lines and not nodes:
        return None
    subsystems = "pci|vfio|vfio-dev" if nodes else "pci"
    is_off = f'ENV{{{off_word.OFF_WORD}}}=="{off_word.OFF}"'
    ahead = (
        f"# {off_word.ARGUMENT} on the kernel's command line: none of this for one boot.",
        f'SUBSYSTEM!="{subsystems}", GOTO="{END}"',
        f'ENV{{{off_word.OFF_WORD}}}=""',
        f'IMPORT{{cmdline}}="{off_word.OFF_WORD}"',
        *(f"{is_off}, {line}" for line in undoing),
        f'{is_off}, GOTO="{END}"',
    )
    return header(name) + "".join(f"{line}\n" for line in (*ahead, *lines, *nodes, f'LABEL="{END}"'))


def limits(name: str, lines: t.Sequence[str]) -> str | None:
    """What pam_limits allows an account at its next login."""
    return header(name) + "".join(f"{line}\n" for line in lines) if lines else None


def early(name: str, ids: t.Collection[str]) -> str | None:
    """Where a card has no native driver, no softdep loads the claimed one."""
    if not ids:
        return None
    return header(name) + "".join(f"{module}\n" for module in ids)


def hook(name: str, modules: t.Collection[str]) -> str | None:
    """initramfs-tools copies /etc/modprobe.d and udev rules of our name by itself, but no module that nobody asks for."""
    if not modules:
        return None
    return (
        "#!/bin/sh\n"
        + header(name)
        + modules_line(modules)
        + 'if [ "${1:-}" = prereqs ]; then\n'
        + "    exit 0\n"
        + "fi\n"
        + ". /usr/share/initramfs-tools/hook-functions\n"
        + f"manual_add_modules {' '.join(sorted(modules))}\n"
    )


def dracut(name: str, modules: t.Collection[str], files: t.Sequence[str]) -> str | None:
    """dracut copies /etc/modprobe.d and /etc/udev/rules.d only into images for one host, so the files are named.

    One module that the image's kernel does not have would keep all others of the list out, so each is looked for first;
    dracut's shell knows the kernel by then, unless it is the running one.
    """
    if not modules:
        return None
    return (
        header(name)
        + modules_line(modules)
        + f"for vfio_variants_module in {' '.join(sorted(modules))}; do\n"
        + '    if modinfo -k "${kernel:-$(uname -r)}" "$vfio_variants_module" > /dev/null 2>&1; then\n'
        + '        add_drivers+=" $vfio_variants_module "\n'
        + "    fi\n"
        + "done\n"
        + (f'install_items+=" {" ".join(files)} "\n' if files else "")
    )


def mkinitcpio(name: str, modules: t.Collection[str], files: t.Sequence[str]) -> str | None:
    """mkinitcpio copies no rules that it does not know, and /etc/modprobe.d only by the hook `modconf`, so the files are named.

    It has no list of modules that are only taken in: MODULES are also loaded, in their order, before udev's events.  With a question
    mark one that the image's kernel does not have is left out without an error.  The lists may be plain strings.
    """
    if not modules:
        return None
    quoted = " ".join(f"'{module}?'" for module in sorted(modules))
    return (
        header(name)
        + modules_line(modules)
        + f"MODULES=({quoted} ${{MODULES[@]}})\n"
        + (
            f"for vfio_variants_file in {' '.join(files)}; do\n"
            '    if [[ -e "$vfio_variants_file" ]]; then\n'
            '        FILES=(${FILES[@]} "$vfio_variants_file")\n'
            "    fi\n"
            "done\n"
            if files
            else ""
        )
    )
