# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kernel refuses unsigned modules, and what makes it do so (module_sig_check() in kernel/module/signing.c)."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, OSRELEASE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import given_to_built_in, named

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

LOCKDOWN = "/sys/kernel/security/lockdown"
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Debian, Fedora and SUSE; Fedora and rpm-ostree.
CONFIGS = ("/boot/config-{0}", f"{MODULES}/{{0}}/config")
ENFORCED = re.compile(
    r"^CONFIG_(MODULE_SIG_FORCE|LOCK_DOWN_IN_EFI_SECURE_BOOT|LOCK_DOWN_KERNEL_FORCE_(?:INTEGRITY|CONFIDENTIALITY))=y$", re.M
)
LEVELS = ("integrity", "confidentiality")
# kstrtobool() in lib/kstrtox.c
YES = ("", "1", "y", "Y", "t", "T", "on", "On", "ON", "oN")


def enforced_by(host: Host, release: str, cmdline: Cmdline) -> str | None:
    """What makes kernel ``release``, booted with ``cmdline``, refuse unsigned modules; None if nothing does."""
    if _asked(cmdline):
        return "module.sig_enforce on its command line"
    level = next((value for value in cmdline.of_kernel.values("lockdown")[-1:] if value in LEVELS), None)
    if level is not None:
        return f"lockdown={level} on its command line"
    config, options = _config(host, release)
    if "MODULE_SIG_FORCE" in options:
        return f"CONFIG_MODULE_SIG_FORCE=y in {config}"
    forced = next((option for option in sorted(options) if option.startswith("LOCK_DOWN_KERNEL_FORCE")), None)
    if forced is not None:
        return f"CONFIG_{forced}=y in {config}"
    if "LOCK_DOWN_IN_EFI_SECURE_BOOT" in options and _secure_boot(host):
        return f"Secure Boot, with CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y in {config}"
    return _running_lockdown(host, release)


def _asked(cmdline: Cmdline) -> bool:
    """A parameter without a value is on, and it cannot be turned off again (param_set_bool_enable_only() in kernel/params.c)."""
    given = named(given_to_built_in(cmdline, CMDLINE, "module"), "sig_enforce")
    return any((one.value or "") in YES for one in given)


def _running_lockdown(host: Host, release: str) -> str | None:
    """The lockdown of the running kernel, unless its own command line asked for it: the next boot has another command line."""
    state = host.text_or_none(LOCKDOWN)
    if state is None or host.text_or_none(OSRELEASE) != release or Cmdline.parse(host.text_or_none(CMDLINE) or "").values("lockdown"):
        return None
    level = next((level for level in LEVELS if f"[{level}]" in state), None)
    return None if level is None else f"lockdown [{level}] in {LOCKDOWN}"


def _config(host: Host, release: str) -> tuple[str, frozenset[str]]:
    """The kernel's configuration file, and its options that enforce signatures."""
    places = [path.format(release) for path in CONFIGS]

    def read() -> tuple[str, frozenset[str]]:
        path = next(filter(host.is_file, places), None)
        text = None if path is None else host.text_or_none(path)
        return path or places[0], frozenset(ENFORCED.findall(text or ""))

    return host.once("what enforces signatures", places, read)


def _secure_boot(host: Host) -> bool:
    """efivarfs: four bytes of attributes precede the variable's value."""
    return host.is_file(SECURE_BOOT) and host.read_bytes(SECURE_BOOT)[4:5] == b"\1"
