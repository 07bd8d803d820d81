# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters that a module is given: options of modprobe.d and of the command line, as kmod passes them on and the kernel reads them.

kmod knows no quotes: it hands all lines of a module to the kernel as one text (kmod_module_get_options() in libkmod-module.c).
The kernel takes that apart (parse_args() in kernel/params.c, next_arg() in lib/cmdline.c), sets each parameter as often as it
is given, so that the last value stays, and does not load the module where one is refused.  What is built in gets its
parameters from the command line, from the kernel itself.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import END, WORD, name_and_value
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import SourceLine
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.off_word import ARGUMENT, WITHOUT_IDS
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import objection
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import ANY, PciId

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive, ModprobeConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import Types

LONGEST_IDS = 1023
"""`static char ids[1024]` in drivers/vfio/pci/vfio_pci.c and drivers/pci/pci-stub.c; param_set_copystring() refuses what is longer."""
_LARGEST = 0xFFFFFFFF
_BY_COMMAND = "\x01"
_NUMBER = re.compile(r"[ \t\n\v\f\r]*(?:0[xX]([0-9a-fA-F]*)|([0-9a-fA-F]+))")


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter as the kernel reads it.  ``value`` is None where no `=` follows the name, ``written`` is the whole word."""

    name: str
    value: str | None
    written: str
    source: SourceLine
    line: str = dataclasses.field(default="", compare=False)
    """What gives it, as far as it tells the parameter: `options vfio-pci ids=…`, or the argument of the command line."""

    def __str__(self) -> str:
        return self.line or self.written


def in_lines(lines: t.Iterable[Directive]) -> tuple[Parameter, ...]:
    """What these `options` lines of one module come to: a quote that does not end takes in what the next line says."""
    given = [(line, _said(line), " ".join(line.arguments[1:]).replace("\t", " ")) for line in lines]
    begins = list(itertools.accumulate((len(text) + 1 for _line, _said, text in given), initial=0))
    words = WORD.finditer(" ".join(text for _line, _said, text in given).rstrip(" "))
    found = ((match[0], *given[bisect.bisect_right(begins, match.start()) - 1][:2]) for match in words)
    return tuple(_parameters((word, line.source, whole or f"{before}{word}") for word, line, (before, whole) in found))


def by_command(source: SourceLine, options: str) -> str:
    """In place of an alias that a module is found by: it is loaded by the command of an `install` line, with further options."""
    return _BY_COMMAND.join(("", source.path, str(source.line), options))


def given_to(config: ModprobeConfig, module: str, alias: str = "") -> tuple[Parameter, ...]:
    """What a module is loaded with, the command line's at the end; ``alias`` is what kmod found it by, if not by its name."""
    if alias.startswith(_BY_COMMAND):
        _empty, path, line, options = alias.split(_BY_COMMAND)
        words = (found[0] for found in WORD.finditer(options))
        return (*in_lines(config.options(module)), *_parameters((word, SourceLine(path, int(line)), word) for word in words))
    if alias == WITHOUT_IDS:
        # Our `install` line gives the last `ids=` itself.
        source = next((line.source for line in config.installs(module)), SourceLine(ARGUMENT, 0))
        return (*in_lines(config.options(module)), Parameter("ids", "", f"ids= ({ARGUMENT})", source))
    return in_lines(config.options(module, alias))


def given_to_built_in(cmdline: Cmdline, source: str, module: str) -> tuple[Parameter, ...]:
    """What the kernel hands to a module that is built in; the names are without the module's."""
    prefix = f"{normalize_module_name(module)}."
    mine = (one for one in words_of(cmdline, source) if normalize_module_name(one.name).startswith(prefix))
    return tuple(dataclasses.replace(one, name=one.name[len(prefix) :]) for one in mine)


def words_of(cmdline: Cmdline, source: str) -> tuple[Parameter, ...]:
    """Every word that the kernel reads."""
    return tuple(_parameters((word, SourceLine(source, 0), word) for word in cmdline.arguments))


def _parameters(words: t.Iterable[tuple[str, SourceLine, str]]) -> t.Iterator[Parameter]:
    for word, source, line in words:
        name, value = name_and_value(word)
        if value is None and name == END:
            return
        yield Parameter(name, value, word, source, line)


def _said(line: Directive) -> tuple[str, str | None]:
    """What stands before a word in the line's own spelling of the module; or all that is said of each word."""
    before = line.written.split(None, 2)
    return (" ".join((*before[:2], "")), None) if before[:1] == [line.command] else ("", line.written or None)


def named(parameters: t.Iterable[Parameter], name: str) -> tuple[Parameter, ...]:
    """Each time that a parameter is given, `-` for `_` or not (parameq() in kernel/params.c); the last one counts."""
    return tuple(one for one in parameters if normalize_module_name(one.name) == name)


def last_of_each(parameters: t.Iterable[Parameter], types: Types, is_built_in: bool = False) -> dict[str, Parameter]:
    """What a module's parameters are in the end, by normalized name: without those that it does not have.

    What is built in keeps the value before one that is refused; a loadable module is not loaded with that.
    """
    found: dict[str, Parameter] = {}
    for one in parameters:
        name = normalize_module_name(one.name)
        fault = objection(types[name], one.value) if is_built_in and name in types else None
        if name in types and (fault is None or not fault.certain):
            found[name] = one
    return found


# -- ids=


def every_ids(parameters: t.Iterable[Parameter]) -> tuple[Parameter, ...]:
    """Each `ids=` among them."""
    return named(parameters, "ids")


def why_refused(ids: Parameter) -> str | None:
    """Why the kernel does not take such an `ids=`, and so does not load the module; None where it does."""
    if ids.value is None:
        return "has no value"
    return f"is longer than {LONGEST_IDS} characters" if len(ids.value.encode("utf-8", "surrogateescape")) > LONGEST_IDS else None


def parse_ids(value: str) -> tuple[PciId, ...]:
    """What a driver makes of its `ids=` (vfio_pci_fill_ids(), pci_stub_init()): entries with fewer than two numbers are passed over."""
    found = (parse_entry(entry)[0] for entry in value.split(","))
    return tuple(one for one in found if one is not None)


def parse_entry(entry: str) -> tuple[PciId | None, bool]:
    """One entry, and whether all of it has a meaning: sscanf("%x:%x:%x:%x:%x:%x") ends where it finds something else."""
    numbers: list[int] = []
    position = 0
    while len(numbers) < 6:
        match = _NUMBER.match(entry, position)
        if match is None:
            break
        # `0x` alone is nought (_parse_integer_fixup_radix() in lib/kstrtox.c).
        numbers.append(int(match[1] or match[2] or "0", 16))
        position = match.end()
        if not entry.startswith(":", position):
            break
        position += 1
    whole = not entry[position:].strip() and not entry.endswith(":") and all(number <= _LARGEST for number in numbers)
    if len(numbers) < 2:
        return None, False
    fields = (*(number & _LARGEST for number in numbers), *(ANY, ANY, ANY, ANY, 0, 0)[len(numbers) :])
    vendor, device, subsystem_vendor, subsystem_device, class_code, class_mask = fields
    return PciId(vendor, device, subsystem_vendor, subsystem_device, class_code, class_mask), whole
