# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One of the kernel's own VFIO variant drivers in the kernel's source: its files, its options, its modules and their aliases.  Pure.

All of it is read from the files that kbuild itself reads, so a driver that is new in a kernel is known by them.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.driver_files import DRIVERS, ID_LISTS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import kconfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import variant_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.linux_tree import LinuxTree

NEEDED = "VFIO_PCI_CORE"
MAKEFILES = ("/Makefile", "/Kbuild")
_OBJECTS = re.compile(r"^obj-\$[({]CONFIG_(\w+)[)}][ \t]*[+:]*=[ \t]*([^#\n]*)", re.MULTILINE)
_LICENCE = re.compile(rb"SPDX-License-[I]dentifier:[ \t]*([^*\r\n]+)")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"\.\./([\w.-]+\.h)"', re.MULTILINE)
_COMMENT = re.compile(r"/\*[\s\S]*?\*/|//[^\n]*")
_TABLE = re.compile(r"struct\s+pci_device_id\s+(\w+)\s*\[\s*\]\s*=\s*\{([\s\S]*?)\}\s*;")
_EXPORTED = re.compile(r"MODULE_DEVICE_TABLE\s*\(\s*pci\s*,\s*(\w+)\s*\)")
_ID = re.compile(r"\{\s*PCI_DRIVER_OVERRIDE_DEVICE_VFIO\s*\(\s*(\w+)\s*,\s*\(?\s*(\w+)\s*\)?\s*\)\s*,?\s*\}")
_DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+(0[xX][0-9a-fA-F]+|\d+)[ \t]*$", re.MULTILINE)
_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)\(([\w ,.]*)\)[ \t]+(.*)$", re.MULTILINE)
_CALL = re.compile(r"\b(\w+)\s*\(([^()]*)\)")
_REST = re.compile(r",\s*(?:##\s*)?__VA_ARGS__")
_ANY = 0xFFFF
_LONGEST_TABLE = 1 << 18


@dataclasses.dataclass(frozen=True)
class Variant:
    """``option`` is its option in Kconfig, without ``CONFIG_``; ``files`` those that a build needs, by their path in the tree.

    ``left_out``: those of them that are there and were not read.
    """

    name: str
    module: str
    folder: str
    option: str
    entries: tuple[kconfig.ConfigOption, ...]
    files: t.Mapping[str, bytes]
    left_out: tuple[str, ...]
    ids: tuple[tuple[int, int], ...] | None
    """Vendor and device; None if they are written so that only a compiler can tell."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """What the module's aliases will be; empty if that is not known."""
        return tuple(alias(vendor, device) for vendor, device in self.ids or ())

    @property
    def licences(self) -> tuple[str, ...]:
        """The licences that the files state."""
        found = (_LICENCE.search(content[:400]) for content in self.files.values())
        return tuple(sorted({match[1].decode("ascii", "replace").strip() for match in found if match}))

    @property
    def where_it_says(self) -> str:
        return f"{self.folder}/Kconfig"

    @property
    def depends(self) -> tuple[str, ...]:
        """The expressions of Kconfig that must hold for it."""
        return self._main.depends

    def lacks(self, options: t.AbstractSet[str], ignores_kconfig: bool = False) -> str | None:
        """Why it is not built for a kernel with these options, None if it is."""
        if NEEDED not in options:
            return f"the kernel is built without CONFIG_{NEEDED}, which each VFIO variant driver needs"
        unmet = () if ignores_kconfig else self._unmet(options)
        if not unmet:
            return None
        missing = ", ".join(self._off(unmet[0], options))
        on = (f"{name}=m" if kconfig.as_module(name) in options else name for name in kconfig.named(unmet[0]) if name in options)
        is_built = f"without {missing}" if missing else f"with {', '.join(f'CONFIG_{name}' for name in on)}"
        return f"{self.where_it_says} says that {self.module} depends on {unmet[0]}, and the kernel is built {is_built}"

    def _unmet(self, options: t.AbstractSet[str]) -> tuple[str, ...]:
        buildable = options | {kconfig.COMPILE_TEST}
        return tuple(expression for expression in self._main.depends if not kconfig.holds(expression, buildable))

    @staticmethod
    def _off(expression: str, options: t.AbstractSet[str]) -> tuple[str, ...]:
        known = options | {kconfig.COMPILE_TEST}
        return tuple(f"CONFIG_{name}" for name in kconfig.named(expression) if name not in known)

    def only_compiles(self, options: t.AbstractSet[str]) -> bool:
        """Whether the kernel's makers build it for such a kernel only to see that it compiles: its devices are on other machines."""
        return not all(kconfig.holds(expression, options) for expression in self._main.depends)

    def selected(self, options: t.AbstractSet[str]) -> tuple[str, ...]:
        """The options that would be on beside it, and that the kernel is built without: what rests on them does not work."""
        needed = (name for expression in self._unmet(options) for name in self._off(expression, options))
        selects = (name for name, condition in self._main.selects if kconfig.holds(condition, options))
        return (*needed, *(f"CONFIG_{name}" for name in selects if name not in options))

    def parts(self, options: t.AbstractSet[str]) -> tuple[str, ...]:
        """Its further options that would be on in such a kernel.  Those that can be modules are modules of their own."""
        known = options | {self.option, kconfig.as_module(self.option)}
        others = (entry for entry in self.entries if entry.name != self.option and not entry.is_tristate)
        found: list[str] = []
        for entry in others:
            if entry.is_on_by_default({*known, *found}):
                found.append(entry.name)
        return tuple(found)

    @property
    def _main(self) -> kconfig.ConfigOption:
        return next((entry for entry in self.entries if entry.name == self.option), kconfig.ConfigOption(self.option))


def alias(vendor: int, device: int) -> str:
    """The alias that modpost makes of such an ID (do_pci_entry() in scripts/mod/file2alias.c)."""
    return f"vfio_pci:v{vendor:08X}d{device:08X}sv*sd*bc*sc*i*"


def variants_of(tree: LinuxTree) -> dict[str, Variant]:
    """The variants that a kernel's source has, by their names here."""
    found = {}
    for makefile in sorted(name for name in tree.files if name.startswith(f"{DRIVERS}/") and name.endswith(MAKEFILES)):
        folder = makefile.rpartition("/")[0]
        for option, objects in _OBJECTS.findall(tree.text(makefile).replace("\\\n", " ")):
            for module in (word[: -len(".o")] for word in objects.split() if re.fullmatch(r"[\w-]+\.o", word)):
                # Beside the driver a folder may have a module that drives no PCI function.
                if folder != DRIVERS and variant_name(module) != normalize_module_name(module):
                    found[variant_name(module)] = _variant(tree, folder, option, module)
    return found


def _variant(tree: LinuxTree, folder: str, option: str, module: str) -> Variant:
    own = {name: content for name, content in tree.files.items() if name.startswith(f"{folder}/")}
    shared = {f"{DRIVERS}/{name}" for text in _texts(own) for name in _INCLUDE.findall(text)}
    files = {**own, **{name: tree.files[name] for name in sorted(shared) if name in tree.files}}
    left_out = tuple(name for name in tree.left_out if name.startswith(f"{folder}/") or name in shared)
    entries = kconfig.parse(tree.text(f"{folder}/Kconfig"))
    return Variant(variant_name(module), module, folder, option, entries, files, left_out, _ids(tree, own))


def _texts(files: t.Mapping[str, bytes]) -> list[str]:
    return [content.decode("utf-8", "replace") for name, content in files.items() if name.endswith((".c", ".h"))]


def _ids(tree: LinuxTree, own: t.Mapping[str, bytes]) -> tuple[tuple[int, int], ...] | None:
    texts = _texts(own)
    known = [*(tree.text(name) for name in ID_LISTS), *texts]
    macros = {name: (_words(given), body) for text in known for name, given, body in _MACRO.findall(_plain(text))}
    numbers = {name: int(value, 0) for text in known for name, value in _DEFINE.findall(_plain(text))}
    found: list[tuple[int, int]] = []
    for text in map(_plain, texts):
        exported = set(_EXPORTED.findall(text))
        for name, body in _TABLE.findall(text):
            if name in exported:
                rows = _rows(_expanded(body, macros), numbers)
                if rows is None:
                    return None
                found += rows
    return tuple(dict.fromkeys(found)) or None


def _plain(text: str) -> str:
    return _COMMENT.sub(" ", text.replace("\\\n", " "))


def _words(listed: str) -> list[str]:
    return [word.strip() for word in listed.split(",")]


def _expanded(body: str, macros: t.Mapping[str, tuple[list[str], str]]) -> str:
    """The table with those macros in the place of which others are written, such as lists of IDs of one family of devices."""

    def replaced(call: re.Match[str]) -> str:
        parameters, written = macros[call[1]]
        given = _words(call[2])
        names = [name for name in parameters if name != "..."]
        more = "".join(f", {word}" for word in given[len(names) :])
        values = dict(zip(names, given))
        return re.sub(r"\w+", lambda word: values.get(word[0], word[0]), _REST.sub(more, written))

    for _level in range(8):
        before = body
        body = _CALL.sub(lambda call: replaced(call) if call[1] in macros else call[0], body)
        if body == before or len(body) > _LONGEST_TABLE:
            break
    return body


def _rows(body: str, numbers: t.Mapping[str, int]) -> list[tuple[int, int]] | None:
    rest = re.sub(r"\{\s*(?:0\s*,?)?\s*\}", "", _ID.sub("", body))
    if re.search(r"\w", rest):
        return None
    found = [(_number(vendor, numbers), _number(device, numbers)) for vendor, device in _ID.findall(body)]
    return found if all(0 <= number < _ANY for pair in found for number in pair) else None


def _number(word: str, numbers: t.Mapping[str, int]) -> int:
    """-1 if it is not known."""
    try:
        return int(word, 0)
    except ValueError:
        return numbers.get(word, -1)
