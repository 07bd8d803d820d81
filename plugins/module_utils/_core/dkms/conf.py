# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package's dkms.conf: its name, its modules, and the kernels it is not for.

DKMS runs the file with bash.  Here it is only parsed, so that nothing from a package runs before that is decided.  What only
running it would show is not known here; DKMS itself decides then (`tree.NOT_FOR_KERNEL`).
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import extended_regex
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError, cut, shown
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

MODULE_ARRAYS = ("BUILT_MODULE_NAME", "BUILT_MODULE_LOCATION", "DEST_MODULE_NAME", "DEST_MODULE_LOCATION")
DESTINATIONS = ("/kernel", "/updates", "/extra")
OVERRIDES = "/etc/dkms"
"""Where an administrator changes a package's settings: files that DKMS runs behind its dkms.conf (read_conf() in /usr/sbin/dkms)."""
LONGEST = 256 << 10
"""Characters of a file: far more than one for hundreds of modules has."""
LONGEST_NAME = 120
"""Characters of a name and of a version, which together are the name of a directory (``NAME_MAX`` in linux/limits.h)."""
# What can be a directory's name, and does not lead out of its parent.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]*", re.ASCII)
_OPTION = re.compile(r"!?\w*", re.ASCII)
# What can set a variable that is not named in the file.
_RUNS_OTHERS = re.compile(r"(?:^|[\s;&|])(?:\.|source|eval)[ \t]")


@dataclasses.dataclass(frozen=True)
class DkmsConf:
    """A dkms.conf; ``where`` names it in messages."""

    text: str
    where: str

    @functools.cached_property
    def _assignments(self) -> Assignments:
        """What the file sets for whatever kernel.  Raises HostError for one that nobody writes."""
        if len(self.text) > LONGEST:
            raise HostError(f"{self.where} cannot be read: it has more than {LONGEST >> 10} KiB.")
        return Assignments.parse(self.text)

    @property
    def name(self) -> str:
        return self._required("PACKAGE_NAME", "name")

    @property
    def version(self) -> str:
        return self._required("PACKAGE_VERSION", "version")

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules' names as installed; none if only running the file would show them."""
        read = self._assignments
        if read.unknown & set(MODULE_ARRAYS):
            return ()
        # Not each number up to the highest, which a file can choose.
        records = sorted({index for array in MODULE_ARRAYS for index in read.indices(array)})
        only = read.get("PACKAGE_NAME") if records == [0] else None
        names = (read.get("DEST_MODULE_NAME", index) or read.get("BUILT_MODULE_NAME", index) or only for index in records)
        return tuple(name for name in names if name)

    @property
    def lists_all(self) -> bool:
        """Whether `modules` are all: nothing else that the file runs can add one."""
        return bool(self.modules) and not _RUNS_OTHERS.search(self.text)

    def exclusion(self, release: str, arch: str, config: str | None) -> str | None:
        """Why the package is not for a kernel, None if it is.  Raises HostError where a rule excludes every kernel by mistake.

        ``config`` is the kernel's configuration, None if it is not installed; DKMS ignores that rule then, too.
        (read_conf() in /usr/sbin/dkms)
        """
        read = Assignments.parse(self.text, {"kernelver": release, "arch": arch, "kernel_source_dir": f"/lib/modules/{release}/build"})
        rules = (
            self._pattern("BUILD_EXCLUSIVE_KERNEL", _known(read, "BUILD_EXCLUSIVE_KERNEL"), release),
            self._pattern("BUILD_EXCLUSIVE_ARCH", _known(read, "BUILD_EXCLUSIVE_ARCH"), arch),
            _range(read, release),
            _configuration(_known(read, "BUILD_EXCLUSIVE_CONFIG"), config),
        )
        return next((reason for reason in rules if reason is not None), None)

    def _pattern(self, name: str, pattern: str | None, value: str) -> str | None:
        if not pattern:
            return None
        try:
            fits = extended_regex.found(pattern, value)
        except extended_regex.InvalidExpressionError as error:
            raise HostError(
                f"{name} in {self.where} is '{cut(pattern)}', which is not a valid regular expression, so that DKMS builds for no kernel: "
                f"{error}.",
                "Correct it there.",
            ) from error
        except extended_regex.UnknownExpressionError:  # a syntax that only bash knows
            return None
        return None if fits else f"{name} is '{cut(pattern)}', which {value} does not match"

    def fault(self) -> str | None:
        """Why DKMS refuses the file for whatever kernel, None if it does not or that is not known.  (read_conf() in /usr/sbin/dkms)"""
        read = self._assignments
        if "\r\n" in self.text:
            return "has lines that end with a carriage return, which bash takes for a part of their values"
        if read.unknown & {*MODULE_ARRAYS, "PACKAGE_NAME"} or _RUNS_OTHERS.search(self.text):
            return None
        # DKMS 3.0 counts the elements, and 3.2 goes up to the highest number: where one is left out, both end with an error.
        records = max((index for array in MODULE_ARRAYS for index in read.indices(array)), default=-1) + 1
        if not records or not read.indices("DEST_MODULE_LOCATION"):
            return "has no DEST_MODULE_LOCATION, and nothing is installed without one"
        alone = read.get("PACKAGE_NAME") if records == 1 else None
        for record in range(records):
            built = read.get("BUILT_MODULE_NAME", record) or alone
            if not built:
                return f"has no BUILT_MODULE_NAME[{record}], though there are settings for {records} modules"
            for array, name in (("BUILT_MODULE_NAME", built), ("DEST_MODULE_NAME", read.get("DEST_MODULE_NAME", record) or "")):
                if name.endswith((".o", ".ko")):
                    return f"has {array}[{record}]={cut(name)}; a module's name has no .ko at its end"
            place = read.get("DEST_MODULE_LOCATION", record) or ""
            if not place.startswith(DESTINATIONS):
                return f"has {shown(place)} as DEST_MODULE_LOCATION[{record}], which does not begin with /kernel, /updates or /extra"
        return None

    def _required(self, variable: str, option: str) -> str:
        read = self._assignments
        value = read.get(variable)
        if (variable not in self.text or (value is None and variable not in read.unknown)) and not _RUNS_OTHERS.search(self.text):
            raise HostError(f"{self.where} has no {variable}, without which DKMS refuses it.", "Write it there, as dkms(8) says.")
        if variable in read.unknown or value is None:
            raise HostError(f"{variable} in {self.where} cannot be determined without running it.", f"Set the option {option}.")
        return checked(value, f"{variable} in {self.where}")


def checked(value: str, what: str) -> str:
    """A package's name or version, refused if it cannot be part of a path."""
    if not NAME.fullmatch(value):
        raise HostError(f"{what} is {shown(value)}; letters, digits and . _ + ~ - are allowed, the first a letter, a digit or _.")
    if len(value) > LONGEST_NAME:
        raise HostError(f"{what} is {shown(value)}; at most {LONGEST_NAME} characters are allowed.")
    return value


def overridden(host: Host, conf: DkmsConf, names: t.Iterable[str]) -> DkmsConf:
    """The file with what an administrator has put behind it in files of these names."""
    found = [(path, host.read_text(path)) for path in (f"{OVERRIDES}/{one}.conf" for one in names) if host.is_file(path)]
    if not found:
        return conf
    return DkmsConf("\n".join((conf.text, *(text for _path, text in found))), " with ".join((conf.where, *(path for path, _text in found))))


def order_key(version: str) -> str:
    """Versions as DKMS compares them: as text, with each number filled up to three digits (VER() in /usr/sbin/dkms)."""
    return re.sub(r"\d+", lambda number: number[0].rjust(3, "0"), version)


def _known(read: Assignments, name: str) -> str | None:
    return None if name in read.unknown else read.get(name)


def _range(read: Assignments, release: str) -> str | None:
    lowest, highest = _known(read, "BUILD_EXCLUSIVE_KERNEL_MIN"), _known(read, "BUILD_EXCLUSIVE_KERNEL_MAX")
    if lowest and order_key(release) < order_key(lowest):
        return f"BUILD_EXCLUSIVE_KERNEL_MIN is {lowest}"
    if highest and order_key(release) > order_key(highest):
        return f"BUILD_EXCLUSIVE_KERNEL_MAX is {highest}"
    obsolete = None if highest else _known(read, "OBSOLETE_BY")
    if obsolete and order_key(release) > order_key(obsolete):
        return f"OBSOLETE_BY is {obsolete}: that kernel and newer ones have the driver themselves"
    return None


def _configuration(wanted: str | None, config: str | None) -> str | None:
    if not wanted or config is None:
        return None
    options = frozenset(re.findall(r"^(CONFIG_\w+)=[ym]", config, re.MULTILINE))
    for word in wanted.split():
        if not _OPTION.fullmatch(word):
            continue  # DKMS hands each word to grep: what an expression matches it will say itself
        if word.startswith("!") and word[1:] in options:
            return f"the kernel is built with {word[1:]}"
        if not word.startswith("!") and word not in options:
            return f"the kernel is built without {word}"
    return None
