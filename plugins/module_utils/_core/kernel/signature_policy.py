# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kernel refuses unsigned modules, and what makes it do so (module_sig_check() in kernel/module/signing.c)."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables, image_header
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, OSRELEASE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import switches_on
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import given_to_built_in, named

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

LOCKDOWN = "/sys/kernel/security/lockdown"
# Debian, Fedora and SUSE; Fedora and rpm-ostree.
CONFIGS = ("/boot/config-{0}", f"{MODULES}/{{0}}/config")
OPTION = re.compile(
    r"^CONFIG_(MODULE_SIG|MODULE_SIG_FORCE|LOCK_DOWN_IN_EFI_SECURE_BOOT|LOCK_DOWN_KERNEL_FORCE_(?:INTEGRITY|CONFIDENTIALITY)|IMA_ARCH_POLICY"
    r"|INTEGRITY_(?:CA_)?MACHINE_KEYRING|INTEGRITY_PLATFORM_KEYRING|SECONDARY_TRUSTED_KEYRING)=y$",
    re.M,
)
# The second makes arch_get_ima_policy() call set_module_sig_enforced() (security/integrity/ima/ima_efi.c).
UNDER_SECURE_BOOT = (("LOCK_DOWN_IN_EFI_SECURE_BOOT",), ("IMA_ARCH_POLICY", "MODULE_SIG"))
LEVELS = ("integrity", "confidentiality")
DEBIAN = "debian-kernel@lists.debian.org"


def enforced_by(host: Host, release: str, cmdline: Cmdline) -> str | None:
    """What makes kernel ``release``, booted with ``cmdline``, refuse unsigned modules; None if nothing does."""
    place, options = config(host, release)
    if _asked(cmdline) and ("MODULE_SIG" in options or not host.is_file(place)):
        return "module.sig_enforce on its command line"
    # No later word lowers it (lock_kernel_down() in security/lockdown/lockdown.c).
    level = next((value for value in cmdline.of_kernel.values("lockdown") if value in LEVELS), None)
    if level is not None:
        return f"lockdown={level} on its command line"
    if "MODULE_SIG_FORCE" in options:
        return f"CONFIG_MODULE_SIG_FORCE=y in {place}"
    forced = next((option for option in sorted(options) if option.startswith("LOCK_DOWN_KERNEL_FORCE")), None)
    if forced is not None:
        return f"CONFIG_{forced}=y in {place}"
    under_secure_boot = next((needed[0] for needed in UNDER_SECURE_BOOT if options.issuperset(needed)), None)
    if under_secure_boot is not None and kernel_sees_secure_boot(host):
        return f"Secure Boot, with CONFIG_{under_secure_boot}=y in {place}"
    return _running_lockdown(host, release)


def lockdown_of(host: Host, release: str) -> str | None:
    """The level at which the kernel locks itself down where neither its command line nor its configuration alone says so."""
    _place, options = config(host, release)
    if UNDER_SECURE_BOOT[0][0] in options and kernel_sees_secure_boot(host):
        return LEVELS[0]
    return _level(host) if _running_lockdown(host, release) else None


def _asked(cmdline: Cmdline) -> bool:
    """A parameter without a value is on, and it cannot be turned off again (param_set_bool_enable_only() in kernel/params.c)."""
    given = named(given_to_built_in(cmdline, CMDLINE, "module"), "sig_enforce")
    return any(switches_on(one.value) for one in given)


def _running_lockdown(host: Host, release: str) -> str | None:
    """The lockdown of the running kernel, unless its own command line asked for it: the next boot has another command line."""
    if host.text_or_none(OSRELEASE) != release or Cmdline.parse(host.text_or_none(CMDLINE) or "").values("lockdown"):
        return None
    level = _level(host)
    return None if level is None else f"lockdown [{level}] in {LOCKDOWN}"


def _level(host: Host) -> str | None:
    """The running kernel's."""
    state = host.text_or_none(LOCKDOWN) or ""
    return next((level for level in LEVELS if f"[{level}]" in state), None)


def config(host: Host, release: str) -> tuple[str, frozenset[str]]:
    """The kernel's configuration file, and its options about signatures and keys that are on, without `CONFIG_`."""
    places = [path.format(release) for path in CONFIGS]

    def read() -> tuple[str, frozenset[str]]:
        path = next(filter(host.is_file, places), None)
        text = None if path is None else host.text_or_none(path)
        return path or places[0], frozenset(OPTION.findall(text or ""))

    return host.once("options about signatures", places, read)


def is_debians(host: Host, release: str) -> bool:
    """Whether Debian's kernel team has built the kernel: its image says so."""
    path = f"/boot/vmlinuz-{release}"
    try:
        with host.open(path) as file:
            start = file.read(image_header.SETUP)
    except (HostError, OSError):
        return False
    return (image_header.version(start) or "").startswith(f"{release} ({DEBIAN})")


def secure_boot(host: Host) -> bool:
    """Whether this host's firmware has it on."""
    return efi_variables.value(host, "SecureBoot", efi_variables.GLOBAL) == b"\1"


def kernel_sees_secure_boot(host: Host) -> bool:
    """Not where shim was told to verify nothing (`mokutil --disable-validation`), which a variable says that does not last.

    efi_get_secureboot() in drivers/firmware/efi/libstub/secureboot.c.
    """
    is_told = efi_variables.value(host, "MokSBStateRT", efi_variables.SHIM) == b"\1" and not efi_variables.is_lasting(
        host, "MokSBStateRT", efi_variables.SHIM
    )
    return secure_boot(host) and not is_told
