# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu of systemd-boot: entries of the Boot Loader Specification, types 1 and 2.  (systemd: src/boot/boot.c)"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import (
    bls,
    direct_start,
    kernel_image,
    unified_entry,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import UNIFIED_IMAGES, BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import LONGEST, matches
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.versions import uapi_compare

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.bls import BlsEntry

COUNTER = re.compile(r"\+(\d+)(?:-(\d+))?(?=\.(?:conf|efi)$)", re.IGNORECASE)
LOADER_CONF = "loader/loader.conf"
SAVED = "@saved"
ARCHITECTURES = {"x86_64": "x64", "i686": "ia32", "aarch64": "aa64", "armv7l": "arm", "riscv64": "riscv64", "loongarch64": "loongarch64"}
"""EFI_MACHINE_TYPE_NAME by machine (src/boot/util.h)."""
VERSION = re.compile(r"systemd-boot (\d{1,4})")
WITH_UKIS, WITH_PREFERRED = 258, 260
"""The first versions that know `uki` and `uki-url` in entries, and `preferred` in loader.conf and its EFI variable."""
ESCAPED = re.compile(r"\\.")
BRACKETS = re.compile(r"\[((?:\\.|\]|[^\]\\])(?:\\.|[^\]\\])*)\]")
NOTHING = "\\"
GENERATED = (
    *("auto-osx", "auto-windows", "auto-efi-shell", "auto-efi-default", "auto-reboot-to-firmware-setup", "auto-poweroff", "auto-reboot"),
    "secure-boot-keys-auto",
)
"""IDs of entries that systemd-boot makes by itself, which come after all others (src/boot/boot.c)."""
# Of .osrel (src/boot/bootspec-fundamental.c).
NAMES, VERSIONS = ("PRETTY_NAME", "IMAGE_ID", "NAME", "ID"), ("IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID")
COUNTED_NAMES, PLAIN_NAMES = 257, 259
"""Up to the first version an entry's ID has its boot counter in it, from the other on it has not; between them it may have."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An entry and what decides its position.  ``tries_left`` is None if boots are not counted."""

    item: MenuItem
    tries_left: int | None
    tries_done: int
    sort_key: str
    machine_id: str
    version: str
    name: str
    """The ID with the counter."""
    sorted_as: str
    """The ID without the profile: those of one image come in their order."""


def menu(files: BootFiles) -> Menu | None:
    """The menu of systemd-boot; None if it has no entries."""
    found: dict[tuple[str, int | None, int], Candidate] = {}
    beside: list[str] = []
    for partition in files.partitions:
        for candidate in (*_type_1(files, partition), *_type_2(files, partition)):
            # A partition may be mounted at two of these.
            first = found.setdefault((candidate.item.id, candidate.tries_left, candidate.tries_done), candidate)
            if first.item.arguments != candidate.item.arguments:
                beside.append(f"{first.item.source} and {candidate.item.source} differ")
    if not found:
        return None
    configs = [place for place in (f"{partition}/{LOADER_CONF}" for partition in files.partitions) if files.host.is_file(place)]
    if len({files.text(place) for place in configs}) > 1:
        beside.append(f"{' and '.join(configs)} differ")
    ordered = sorted(found.values(), key=functools.cmp_to_key(compare))
    place, settings = _settings(files)
    default, why, doubts = _default(files, ordered, place, settings)
    doubts += tuple(f"{what}; which of them systemd-boot reads cannot be determined." for what in beside)
    return Menu("systemd-boot", place, tuple(candidate.item for candidate in ordered), default, why, doubts)


def compare(left: Candidate, right: Candidate) -> int:
    """Negative if ``left`` comes first.  As boot_entry_compare()."""
    keys: list[int] = [
        (left.tries_left == 0) - (right.tries_left == 0),
        (not left.sort_key) - (not right.sort_key),
    ]
    if left.sort_key and right.sort_key:
        keys += [
            (left.sort_key > right.sort_key) - (left.sort_key < right.sort_key),
            (left.machine_id > right.machine_id) - (left.machine_id < right.machine_id),
            -uapi_compare(left.version, right.version),
        ]
    keys.append(-uapi_compare(left.sorted_as, right.sorted_as))
    if left.tries_left is not None and right.tries_left is not None:
        keys += [right.tries_left - left.tries_left, left.tries_done - right.tries_done]
    return next((key for key in keys if key), 0)


def _default(
    files: BootFiles, ordered: t.Sequence[Candidate], place: str, settings: t.Mapping[str, str]
) -> tuple[MenuItem, str, tuple[str, ...]]:
    """As config_select_default_entry(): the one-shot entry, that of an EFI variable, that of loader.conf, the first."""
    doubts: list[str] = []
    for pattern, source, is_preference in _default_patterns(files, place, settings):
        wanted = as_fnmatch(pattern.lower())
        found = [_named(ordered, wanted, is_preference, is_plain) for is_plain in _kinds_of_names(files)]
        if found[0] != found[-1]:
            doubts.append(f"{source} names {pattern}, which is an entry's name with its boot counter for some versions of systemd-boot.")
        candidate = next(filter(None, reversed(found)), None)
        if candidate is not None:
            return candidate.item, f"{source} names {pattern}", tuple(doubts)
        if pattern.lower().startswith(GENERATED) or any(matches(name, wanted) for name in GENERATED):
            doubts.append(f"{source} names {pattern}, an entry that systemd-boot generates only if it finds that system.")
    return ordered[0].item, f"{place}: the first entry is the default", tuple(doubts)


def _named(ordered: t.Sequence[Candidate], wanted: str, is_preference: bool, is_plain: bool) -> Candidate | None:
    """The first entry whose ID, without its counter or with it, agrees with a pattern."""
    usable = (candidate for candidate in ordered if not (is_preference and candidate.tries_left == 0))
    return next((candidate for candidate in usable if matches(candidate.item.id if is_plain else candidate.name, wanted)), None)


def _kinds_of_names(files: BootFiles) -> tuple[bool, ...]:
    """Whether an entry's ID is its name without the boot counter, by the version of the loader that ran; both if that is not known."""
    version = _version(files)
    return (False, True) if version is None or COUNTED_NAMES < version < PLAIN_NAMES else (version >= PLAIN_NAMES,)


def _knows(files: BootFiles, first: int) -> bool:
    """Whether the loader that ran is of this version or a newer one, or does not say which it is."""
    return _version(files) not in range(first)


def _version(files: BootFiles) -> int | None:
    """That of the loader that ran, as it says."""
    said = VERSION.match(efi_variables.text(files.host, "LoaderInfo") or "")
    return None if said is None else int(said[1])


def as_fnmatch(pattern: str) -> str:
    """A pattern of systemd-boot as one of fnmatch(3): it knows no sets that exclude and no classes, and an open bracket matches nothing.

    (efi_fnmatch() in src/boot/efi-string.c)
    """
    if len(pattern) > LONGEST:
        return NOTHING
    unclosed = re.search(r"\[", BRACKETS.sub("", ESCAPED.sub("", pattern)))
    found = BRACKETS.sub(lambda match: "[" + re.sub(r"([!^\[])", r"\\\1", match[1]) + "]", pattern)
    return NOTHING if unclosed else found


def _default_patterns(files: BootFiles, place: str, settings: t.Mapping[str, str]) -> t.Iterator[tuple[str, str, bool]]:
    """The patterns that systemd-boot tries in turn, each with its source, and whether it skips entries that failed to boot."""
    variables = (("LoaderEntryOneShot", False), ("LoaderEntryPreferred", True), ("LoaderEntryDefault", False))
    given = [(efi_variables.text(files.host, name), f"the EFI variable {name}", is_preference) for name, is_preference in variables]
    given += [(settings.get("preferred"), place, True), (settings.get("default"), place, False)]
    for value, source, is_preference in given:
        pattern = efi_variables.text(files.host, "LoaderEntryLastBooted") if (value or "").lower() == SAVED else value
        if pattern and (not is_preference or _knows(files, WITH_PREFERRED)):
            yield pattern, source, is_preference


def _settings(files: BootFiles) -> tuple[str, dict[str, str]]:
    """The path of loader.conf and its settings; of a key's lines the last counts."""
    for partition in files.partitions:
        place = f"{partition}/{LOADER_CONF}"
        text = files.text(place)
        if text is not None:
            lines = (line.split(None, 1) for line in text.splitlines() if not line.lstrip().startswith("#"))
            given = ((words[0], bls.unquoted(words[1].strip())) for words in lines if len(words) == 2)
            # It ignores what else begins with @.
            return place, {key: value for key, value in given if not value.startswith("@") or value.lower() == SAVED}
    return "systemd-boot", {}


def identified(name: str) -> tuple[str, int | None, int]:
    """The ID in a file's name, which is the name without the boot counter; and the counter: tries left and tries done."""
    found = COUNTER.search(name)
    if found is None:
        return name.lower(), None, 0
    return (name[: found.start()] + name[found.end() :]).lower(), int(found[1]), int(found[2] or 0)


def _type_1(files: BootFiles, partition: str) -> t.Iterator[Candidate]:
    own = ARCHITECTURES.get(files.host.machine)
    for entry in bls.read(files, f"{partition}/loader/entries", is_systemds=True):
        if entry.architecture and own and entry.architecture.lower() != own:
            continue
        program = entry.kernel or entry.efi or (entry.uki if _knows(files, WITH_UKIS) else None)
        if entry.url and not program and _knows(files, WITH_UKIS):
            item = MenuItem(entry.title or entry.id, entry.id.lower(), entry.place)
            yield Candidate(item, None, 0, entry.sort_key, entry.machine_id, entry.version, entry.id.lower(), entry.id.lower())
        place = partition + "/" + program.replace("\\", "/").lstrip("/") if program else ""
        # systemd-boot skips an entry whose file does not exist.
        if not program or not files.host.is_file(place):
            continue
        identity, left, done = identified(entry.id)
        is_kernel = entry.kernel is not None and (entry.initrds or kernel_image.read(files.host, place) is None)
        item = _linux(files, partition, entry, identity, place) if is_kernel else _program(files, entry, identity, place)
        if entry.newer:
            doubt = (
                f"{entry.place} has {' and '.join(entry.newer)}, which some versions of systemd-boot pass to the image, and is not read."
            )
            item = dataclasses.replace(item, doubts=(*item.doubts, doubt))
        if entry.is_of_two_kinds:
            doubt = f"{entry.place} names programs of several kinds: newer versions of systemd-boot leave such an entry out."
            item = dataclasses.replace(item, doubts=(*item.doubts, doubt))
        yield Candidate(item, left, done, entry.sort_key, entry.machine_id, entry.version, entry.id.lower(), identity)


def _linux(files: BootFiles, partition: str, entry: BlsEntry, identity: str, place: str) -> MenuItem:
    release = kernel_image.release(files.host, place)
    if release is None and files.host.is_dir(f"{MODULES}/{entry.version}"):
        release = entry.version or None
    return MenuItem(
        title=entry.title or identity,
        id=identity,
        source=entry.source,
        kernel=place,
        arguments=" ".join(entry.options),
        initrds=tuple(partition + "/" + path.replace("\\", "/").lstrip("/") for path in entry.initrds)
        # The kernel's EFI stub looks for these only where the loader offers no image.
        or direct_start.of_arguments(" ".join(entry.options), place),
        release=release,
    )


def _program(files: BootFiles, entry: BlsEntry, identity: str, place: str) -> MenuItem:
    image = kernel_image.read(files.host, place)
    if image is None:
        return MenuItem(entry.title or identity, identity, entry.source)
    item = unified_entry.item(files, image, identity, place, " ".join(entry.options))
    return dataclasses.replace(item, title=entry.title or identity, source=entry.source)


def _type_2(files: BootFiles, partition: str) -> t.Iterator[Candidate]:
    """One for each profile of each unified image that says of which system it is."""
    folder = f"{partition}/{UNIFIED_IMAGES}"
    for name in files.names(folder):
        if not name.lower().endswith(".efi") or name.lower().startswith((".", "auto-")):
            continue
        identity, left, done = identified(name)
        for image in kernel_image.profiles(files.host, f"{folder}/{name}"):
            names = image.os_release
            if not any(names.get(key) for key in NAMES):
                continue
            key = names.get("IMAGE_ID") or names.get("ID") or ""
            version = next((names[key] for key in VERSIONS if names.get(key)), "")
            profile = f"@{image.profile.lower()}" if image.profile else ""
            item = unified_entry.item(files, image, identity + profile, f"{folder}/{name}")
            yield Candidate(item, left, done, key, "", version, name.lower() + profile, identity)
