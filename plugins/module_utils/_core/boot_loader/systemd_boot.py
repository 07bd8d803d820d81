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
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import PARTITIONS
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.menu import Menu, MenuItem
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import LONGEST, matches
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.versions import uapi_compare

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.bls import BlsEntry
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles

COUNTER = re.compile(r"\+(\d+)(?:-(\d+))?(?=\.(?:conf|efi)$)", re.IGNORECASE)
SAVED = "@saved"
ARCHITECTURES = {"x86_64": "x64", "i686": "ia32", "aarch64": "aa64", "armv7l": "arm", "riscv64": "riscv64", "loongarch64": "loongarch64"}
"""EFI_MACHINE_TYPE_NAME by machine (src/boot/util.h)."""
VERSION = re.compile(r"systemd-boot (\d{1,4})")
WITH_URLS = 258
"""The first version that knows `uki-url`."""
ESCAPED = re.compile(r"\\.")
BRACKETS = re.compile(r"\[((?:\\.|\]|[^\]\\])(?:\\.|[^\]\\])*)\]")
NOTHING = "\\"
GENERATED = (
    *("auto-osx", "auto-windows", "auto-efi-shell", "auto-efi-default", "auto-reboot-to-firmware-setup", "auto-poweroff", "auto-reboot"),
    "secure-boot-keys-auto",
)
"""IDs of entries that systemd-boot makes by itself, which come after all others (src/boot/boot.c)."""
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
    """The file's name, with the counter."""


def menu(files: BootFiles) -> Menu | None:
    """The menu of systemd-boot; None if it has no entries."""
    found: dict[tuple[str, int | None, int], Candidate] = {}
    for partition in PARTITIONS:
        for candidate in (*_type_1(files, partition), *_type_2(files, partition)):
            # A partition may be mounted at two of these.
            found.setdefault((candidate.item.id, candidate.tries_left, candidate.tries_done), candidate)
    if not found:
        return None
    ordered = sorted(found.values(), key=functools.cmp_to_key(compare))
    place, settings = _settings(files)
    default, why, doubts = _default(files, ordered, place, settings)
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
    keys.append(-uapi_compare(left.item.id, right.item.id))
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
    saved = efi_variables.text(files.host, "LoaderEntryLastBooted")
    for name, is_preference in variables:
        value = efi_variables.text(files.host, name)
        if value == SAVED:
            value = saved
        if value:
            yield value, f"the EFI variable {name}", is_preference
    for key, is_preference in (("preferred", True), ("default", False)):
        value = settings.get(key)
        if value == SAVED:
            value = saved
        if value:
            yield value, place, is_preference


def _settings(files: BootFiles) -> tuple[str, dict[str, str]]:
    """The path of loader.conf and its settings; of a key's lines the last counts."""
    for partition in PARTITIONS:
        place = f"{partition}/loader/loader.conf"
        text = files.text(place)
        if text is not None:
            lines = (line.split(None, 1) for line in text.splitlines() if not line.lstrip().startswith("#"))
            return place, {words[0]: bls.unquoted(words[1].strip()) for words in lines if len(words) == 2}
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
        program = entry.kernel or entry.efi
        if entry.url and not program and _version(files) not in range(WITH_URLS):
            item = MenuItem(entry.title or entry.id, entry.id.lower(), entry.place)
            yield Candidate(item, None, 0, entry.sort_key, entry.machine_id, entry.version, entry.id.lower())
        place = partition + "/" + program.replace("\\", "/").lstrip("/") if program else ""
        # systemd-boot skips an entry whose file does not exist.
        if not program or not files.host.is_file(place):
            continue
        identity, left, done = identified(entry.id)
        item = _linux(files, partition, entry, identity, place) if entry.kernel else _program(files, entry, identity, place)
        if entry.is_of_two_kinds:
            doubt = f"{entry.place} names programs of several kinds: newer versions of systemd-boot leave such an entry out."
            item = dataclasses.replace(item, doubts=(*item.doubts, doubt))
        yield Candidate(item, left, done, entry.sort_key, entry.machine_id, entry.version, entry.id.lower())


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
    folder = f"{partition}/EFI/Linux"
    for name in files.names(folder):
        image = kernel_image.read(files.host, f"{folder}/{name}") if name.lower().endswith(".efi") else None
        if image is None:
            continue
        identity, left, done = identified(name)
        names = image.os_release
        key = names.get("IMAGE_ID") or names.get("ID") or ""
        version = next((names[key] for key in ("IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID") if names.get(key)), "")
        yield Candidate(unified_entry.item(files, image, identity, f"{folder}/{name}"), left, done, key, "", version, name.lower())
