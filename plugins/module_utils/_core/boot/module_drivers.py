# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts about a kernel's module that a forecast needs: its PCI drivers, and whether the kernel would load it."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ModuleFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import ANY_DEVICE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.driver_tables import Tables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN_DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, PENDING, version_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import ModuleContent, NoModuleError, module_path
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_table import types_of
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import ParameterType, switches_on
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import (
    LONGEST_IDS,
    given_to,
    given_to_built_in,
    named,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.signature_policy import enforced_by
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver, PciId

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import Types

Registered = t.Mapping[str, t.Sequence[str]]
"""The registered PCI drivers of each loaded module, by normalized name, from sysfs."""
# Drivers with their module's name, for modules that distributions build in and that have no file then.  The same in Linux 6.1,
# 6.12, 7.2 and 7.3.
NAMED_LIKE_MODULE = (
    *("8250_lpss", "8250_mid", "8250_mxpcie", "8250_pericom", "ahci", "amdgpu", "ast", "ata_generic", "ata_piix", "e1000", "e1000e"),
    *("hpsa", "i915", "igb", "ixgbe", "mei_me", "mlx4_core", "mlx5_core", "mpt3sas", "nouveau", "nvme", "r8169", "radeon"),
    *("shpchp", "snd_hda_intel", "tg3", "thunderbolt", "uhci_hcd", "vmd", "vmxnet3", "xe"),
)
BUILT_IN_NAMES = {
    **{name: name for name in NAMED_LIKE_MODULE},
    **KNOWN_DRIVERS,
    "8250_exar": "exar_serial",
    "8250_pci": "serial",
    "amd64_agp": "agpgart-amd64",
    "bochs": "bochs-drm",
    "dwc3_pci": "dwc3-pci",
    "ehci_pci": "ehci-pci",
    "i2c_designware_pci": "i2c-designware-pci",
    "i2c_i801": "i801_smbus",
    "i2c_piix4": "piix4_smbus",
    "intel_agp": "agpgart-intel",
    "intel_lpss_pci": "intel-lpss",
    "iosf_mbi": "iosf_mbi_pci",
    "ohci_pci": "ohci-pci",
    "pvpanic_pci": "pvpanic-pci",
    "sdhci_pci": "sdhci-pci",
    "sis_agp": "agpgart-sis",
    "ufshcd_pci": "ufshcd",
    "via_agp": "agpgart-via",
    "virtio_pci": "virtio-pci",
    "xhci_pci": "xhci_hcd",
    "xhci_pci_renesas": "xhci-pci-renesas",
    "yenta_socket": "yenta_cardbus",
}
# Built-in drivers with PROBE_PREFER_ASYNCHRONOUS in every kernel since 6.3: it cannot be read from the kernel's image.
BUILT_IN_ASYNCHRONOUS = frozenset(("cxl_pci", "ehci-pci", "i801_smbus", "mei_me", "nvme", "sdhci-pci"))
TAKE_IDS = frozenset(("vfio_pci", "pci_stub"))
BUILTIN_FIELD = re.compile(r"(?<![^\0])([^\0.=]+)\.(alias|parmtype|parm)=([^\0]*)")


def module_facts(
    host: Host, kernel: Kernel, name: str, cmdline: Cmdline, registered: Registered | None = None, cache: Cache | None = None
) -> ModuleFacts:
    """The facts about module ``name`` in ``kernel``, booted with ``cmdline``.

    ``registered`` is given for the running kernel: it has the names of drivers that cannot be read from the file.
    """
    module = normalize_module_name(name)
    path = module_path(kernel, module)
    loaded = tuple((registered or {}).get(module, ()))
    if kernel.modules.get(module) == PENDING:
        # The task that installs it builds it for this kernel; whether it takes `ids=` only its file will tell.
        doubt = _pending_doubt(host, kernel, module, cmdline)
        return dataclasses.replace(facts_of_aliases(kernel, module, loaded), takes_ids=True, doubt=doubt)
    if path is None:
        # A driver that cannot be a module, such as shpchp, is not in modules.builtin, but it is in modules.builtin.modinfo.
        built_in = module in kernel.builtins or (module not in kernel.modules and module in _built_in(host, kernel.release))
        facts = _built_in_facts(host, kernel, module, loaded) if built_in else facts_of_aliases(kernel, module, loaded)
        return dataclasses.replace(facts, drivers=_scheduled(facts.drivers, frozenset(), kernel, None if built_in else module, cmdline))
    try:
        content = ModuleContent.read(host, path, cache)
    except NoModuleError as error:
        facts = facts_of_aliases(kernel, module, loaded)
        if not host.exists(path) and not _is_listed(host, kernel, module):
            return dataclasses.replace(facts, doubt=f"{module} exists only in an initramfs of {kernel.release}, where its file is not read")
        return dataclasses.replace(facts, refused=error.msg.rstrip("."), doubt=None)
    except HostError as error:
        facts = facts_of_aliases(kernel, module, loaded)
        return dataclasses.replace(facts, doubt=error.msg.rstrip("."))
    return facts_of_content(host, kernel, module, path, content, cmdline, loaded)


def facts_of_content(
    host: Host, kernel: Kernel, module: str, path: str, content: ModuleContent, cmdline: Cmdline, loaded: tuple[str, ...] = ()
) -> ModuleFacts:
    """The facts about a module's file, which is or would be at ``path``; ``loaded`` are the drivers that the running kernel has of it."""
    drivers, doubt = _drivers(content.tables, content.info.aliases, module, loaded)
    refused, distrust = _refusal(host, kernel, path, content, cmdline)
    drivers = _scheduled(drivers, content.tables.synchronous, kernel, module, cmdline)
    info = content.info
    return ModuleFacts(
        drivers=drivers,
        takes_ids="ids" in info.types,
        refused=refused,
        doubt=doubt or distrust,
        synchronous=content.tables.synchronous,
        types=info.types,
        license=info.license,
        version=info.version,
        name=info.name,
    )


def function_of(host: Host, path: str, cache: Cache | None = None) -> frozenset[str] | None:
    """The function that starts the module in a file, empty if none does; None if the file cannot be read."""
    try:
        init = ModuleContent.read(host, path, cache).info.init
    except HostError:
        return None
    return frozenset(() if init is None else (init,))


def _drivers(tables: Tables, aliases: t.Iterable[str], module: str, loaded: tuple[str, ...]) -> tuple[tuple[PciDriver, ...], str | None]:
    """The drivers in a module's file, and why they are not certain, if so."""
    if tables.drivers:
        return tables.drivers, None if tables.complete else f"{module} has more PCI drivers than could be read from its file"
    if tables.complete:
        # A driver without an ID table, as vfio-pci was before Linux 5.15, binds only by ids=, new_id or an override.
        known = _name_without_ids(module)
        return ((PciDriver(known),) if known else tuple(PciDriver(name) for name in loaded)), None
    return _by_aliases(aliases, module, loaded, f"the name of its PCI driver cannot be read from the file of {module}")


def _name_without_ids(module: str) -> str | None:
    """The driver of a module that may have no ID table; None if the module is none that is known to be one."""
    return KNOWN_DRIVERS.get(module, module if module in ANY_DEVICE else None)


def _by_aliases(aliases: t.Iterable[str], module: str, loaded: tuple[str, ...], doubt: str) -> tuple[tuple[PciDriver, ...], str | None]:
    """One driver for all aliases, with its name in sysfs or its known name; and why that is not certain, if so."""
    ids = tuple(entry for alias in aliases for entry in (PciId.from_alias(alias),) if entry is not None)
    if len(loaded) == 1:
        return (PciDriver(loaded[0], ids),), None
    known = BUILT_IN_NAMES.get(module)
    return (PciDriver(known or module, ids),), None if known else doubt


def facts_of_aliases(kernel: Kernel, module: str, loaded: tuple[str, ...]) -> ModuleFacts:
    """A module whose file does not exist (yet): only its aliases in the kernel's index are known."""
    lines = ((bus, line.rpartition(" ")) for bus, known in kernel.index.buses.items() for line in (*known.built_in, *known.loadable))
    aliases = [f"{bus}:{pattern}" for bus, (pattern, _blank, owner) in lines if normalize_module_name(owner) == module]
    drivers, doubt = _by_aliases(aliases, module, loaded, f"{module} is not installed for {kernel.release} yet")
    return ModuleFacts(drivers, doubt=doubt)


def _is_listed(host: Host, kernel: Kernel, module: str) -> bool:
    """Whether the root's modules.dep lists the module's file as ``kernel``, which may be that of an initramfs, has it."""
    return f"{kernel.modules[module]}:" in (host.text_or_none(f"{MODULES}/{kernel.release}/modules.dep") or "")


def _built_in_facts(host: Host, kernel: Kernel, module: str, loaded: tuple[str, ...]) -> ModuleFacts:
    known = _built_in(host, kernel.release)
    aliases, types = known.get(module, ((), {} if known else None))
    # These have the parameter even if modules.builtin.modinfo does not exist.
    takes_ids = "ids" in types if types else module in TAKE_IDS and not known
    known_name = BUILT_IN_NAMES.get(module) or _name_without_ids(module)
    names = loaded or ((known_name,) if known_name else ())
    if not names and not any(alias.startswith(("pci:", "vfio_pci:")) for alias in aliases):
        # Most built-in modules have no PCI driver; which ones do cannot be determined before Linux 6.18, which lists their IDs.
        return ModuleFacts((), takes_ids, types=types)
    drivers, doubt = _by_aliases(aliases, module, names, f"{module} is built into {kernel.release}, so its driver's name cannot be read")
    drivers = tuple(dataclasses.replace(driver, asynchronous=driver.name in BUILT_IN_ASYNCHRONOUS) for driver in drivers)
    return ModuleFacts(drivers, takes_ids, doubt=doubt, types=types)


def _built_in(host: Host, release: str) -> dict[str, tuple[tuple[str, ...], Types | None]]:
    """The aliases of each built-in module, and the types of its parameters, by normalized name."""
    path = f"{MODULES}/{release}/modules.builtin.modinfo"
    return host.once("fields", [path], lambda: _parsed_fields(host.text_or_none(path) or ""))


def _parsed_fields(text: str) -> dict[str, tuple[tuple[str, ...], Types | None]]:
    found: dict[str, dict[str, list[str]]] = {}
    for name, field, value in BUILTIN_FIELD.findall(text):
        found.setdefault(normalize_module_name(name), {}).setdefault(field, []).append(value)
    return {name: (tuple(fields.get("alias", ())), _types(name, fields)) for name, fields in found.items()}


def _types(module: str, fields: t.Mapping[str, t.Sequence[str]]) -> Types:
    types = types_of(fields)
    if module in TAKE_IDS and "ids" in types:
        types["ids"] = ParameterType("string", LONGEST_IDS + 1)
    return types


def _refusal(host: Host, kernel: Kernel, path: str, content: ModuleContent, cmdline: Cmdline) -> tuple[str | None, str | None]:
    """Why the kernel would not load the file, or else why that is not certain; both None if it would."""
    info = content.info
    if not info.fits(kernel.release):
        built = f"{path} was built for {info.release or 'an unknown kernel'}, not for {kernel.release}"
        # With symbol versions the kernel does not compare releases (same_magic() in kernel/module/version.c), and
        # distributions keep symbol versions within one base version, which is what RHEL's weak-updates rely on.
        if info.release is None or not info.versioned or _base(info.release) != _base(kernel.release):
            return built, None
        return None, f"{built}; it can be loaded only if the versions of all its symbols are the same"
    own = path.startswith(f"{MODULES}/{kernel.release}/kernel/")
    if info.signer is not None and own:
        return None, None
    enforced = enforced_by(host, kernel.release, cmdline)
    if enforced is None:
        return None, None
    if info.signer is None:
        return f"{path} is not signed, and {kernel.release} accepts only signed modules ({enforced})", None
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import trusted_keys

    reason = trusted_keys.doubt(host, kernel, info.signer)
    if reason is None:
        return None, None
    return None, f"{path} is signed by {info.signer.name}; {reason} ({enforced})"


def _base(release: str) -> str:
    """`5.14.0` of `5.14.0-427.el9.x86_64`."""
    return re.split(r"[^0-9.]", release, maxsplit=1)[0]


def _pending_doubt(host: Host, kernel: Kernel, module: str, cmdline: Cmdline) -> str | None:
    """DKMS will sign what it builds, and a kernel that asks for signatures may not trust that key."""
    enforced = enforced_by(host, kernel.release, cmdline)
    if enforced is None:
        return None
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import trusted_keys

    reason = trusted_keys.doubt_of_dkms(host, kernel)
    return None if reason is None else f"{module} will be signed by DKMS; {reason} ({enforced})"


def _scheduled(
    drivers: tuple[PciDriver, ...], synchronous: frozenset[str], kernel: Kernel, module: str | None, cmdline: Cmdline
) -> tuple[PciDriver, ...]:
    """The drivers, asynchronous if the command line says so; ``module`` is None for a built-in one, which has no module options.

    (driver_allows_async_probing() in drivers/base/dd.c)
    """
    asked = module is not None and _module_asks(kernel, module, cmdline)
    return tuple(
        driver
        if driver.asynchronous or driver.name in synchronous or not (asked or _names_driver(kernel, driver.name, cmdline))
        else dataclasses.replace(driver, asynchronous=True)
        for driver in drivers
    )


def _names_driver(kernel: Kernel, driver: str, cmdline: Cmdline) -> bool:
    """`driver_async_probe=`: the listed drivers; with a `*` in the list, since Linux 6.3, all but the listed ones."""
    names = next(iter(cmdline.of_kernel.values("driver_async_probe")[-1:]), "").split(",")
    return (driver in names) != ("*" in names and version_key(kernel.release) >= version_key("6.3"))


def _module_asks(kernel: Kernel, module: str, cmdline: Cmdline) -> bool:
    """`module.async_probe` for all modules, since Linux 6.3, and `<module>.async_probe` for one; the last one wins."""
    takes_values = version_key(kernel.release) >= version_key("6.3")
    of_all = given_to_built_in(cmdline, CMDLINE, "module") if takes_values else ()
    own = given_to(ModprobeConfig(()).with_cmdline(cmdline), module)
    asked = [switches_on(one.value) for one in (*named(of_all, "async_probe"), *named(own, "async_probe"))]
    return asked[-1] if asked else False
