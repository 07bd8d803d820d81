# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modprobe.d can say about a device, each directive where it decides and where it only seems to."""

from __future__ import annotations

import spelling
from draft import BOTH, ROOT_ONLY, Draft
from targets import Target, neighbours

VFIO = "vfio_pci"


def ids(draft: Draft, target: Target, module: str = VFIO) -> str:
    """An options line that gives the target's ID to a module, at times among others or narrowed to its subsystem."""
    entries = [spelling.identifier(draft.choice, target.vendor, target.device, _subsystem(draft, target))]
    if draft.maybe(0.2):
        other = draft.choice.choice(neighbours(target))
        entries.insert(draft.choice.choice((0, 1)), spelling.identifier(draft.choice, other.vendor, other.device))
    if draft.maybe(0.1):
        entries.append("dead:beef")
    value = ",".join(entries)
    value = f'"{value}"' if draft.maybe(0.06) else value
    more = draft.choice.choice(("", "", "", "disable_idle_d3=1")) if module == VFIO else ""
    return spelling.words(draft.choice, "options", spelling.module(draft.choice, module), f"ids={value}", *([more] if more else []))


def _subsystem(draft: Draft, target: Target) -> tuple[int, int] | None:
    if draft.maybe(0.85):
        return None
    # A subsystem that is not the card's: the entry does not match it.
    return (target.subsystem_vendor, target.subsystem_device if draft.maybe(0.7) else target.subsystem_device ^ 0x0101)


def softdep(draft: Draft, module: str, pre: str = VFIO, style: str | None = None) -> str:
    """`softdep module pre: other`, with what else may stand around it."""
    chosen = style or draft.choice.choices(("pre", "pre two", "post", "pre post", "two blanks", "three blanks"), (64, 10, 10, 8, 5, 3))[0]
    draft.note("softdep post" if chosen == "post" else "softdep pre")
    name, before = spelling.module(draft.choice, module), spelling.module(draft.choice, pre)
    if chosen == "post":
        return spelling.words(draft.choice, "softdep", name, "post:", before)
    if chosen == "pre two":
        return spelling.words(draft.choice, "softdep", name, "pre:", "no_such_module", before)
    if chosen == "pre post":
        return spelling.words(draft.choice, "softdep", name, "post:", "edu_none", "pre:", before)
    if chosen == "two blanks":
        return f"softdep {name}  pre: {before}"
    if chosen == "three blanks":
        return f"softdep {name}   pre: {before}"
    return spelling.words(draft.choice, "softdep", name, "pre:", before)


def blacklist(draft: Draft, module: str) -> str:
    draft.note("blacklist")
    tail = draft.choice.choice(("", "", "", "", "# not here", "second"))
    return spelling.words(draft.choice, "blacklist", spelling.module(draft.choice, module), *([tail] if tail else []))


# Themes: each makes a device's fate hang on a directive.


def ids_alone(draft: Draft, target: Target) -> None:
    """The guides' favourite: ids= and nothing that loads vfio-pci before the native driver."""
    draft.note("options ids=")
    draft.modprobe(ids(draft, target))
    if draft.maybe(0.5):
        load_at_boot(draft, VFIO)
    if draft.maybe(0.5):
        draft.pack(*target.natives)
    if draft.maybe(0.4):
        draft.pack(VFIO)


def ids_and_softdep(draft: Draft, target: Target) -> None:
    draft.note("options ids=")
    if not target.natives:
        load_at_boot(draft, VFIO)
    lines = [ids(draft, target), *(softdep(draft, native) for native in target.natives)]
    draft.choice.shuffle(lines)
    draft.modprobe(*lines)
    _pack_some(draft, target)


def softdep_alone(draft: Draft, target: Target) -> None:
    """Loads vfio-pci first, but gives it no device."""
    draft.modprobe(*(softdep(draft, native) for native in target.natives or ("no_native",)))
    _pack_some(draft, target)


def two_softdeps(draft: Draft, target: Target) -> None:
    """kmod heeds the first softdep of a module only, by the files' names."""
    draft.note("options ids=")
    draft.note("softdep twice")
    native = target.natives[0] if target.natives else VFIO
    first, second = softdep(draft, native, "no_such_module", "pre"), softdep(draft, native, VFIO, "pre")
    if draft.maybe(0.5):
        first, second = second, first
    draft.modprobe(ids(draft, target), where=BOTH)
    draft.modprobe(first, where=BOTH, path="/etc/modprobe.d/20-one.conf")
    draft.modprobe(second, where=BOTH, path=draft.choice.choice(("/etc/modprobe.d/30-two.conf", "/usr/lib/modprobe.d/10-two.conf")))
    _pack_some(draft, target)


def ids_twice(draft: Draft, target: Target) -> None:
    """Of several ids= the last counts, by the files' names, the command line's at the very end."""
    draft.note("options ids=")
    draft.note("ids= twice")
    other = draft.choice.choice(neighbours(target))
    lines = [ids(draft, target), spelling.words(draft.choice, "options", "vfio-pci", f"ids={other.vendor:04x}:{other.device:04x}")]
    if draft.maybe(0.5):
        lines.reverse()
    softdeps = [softdep(draft, native, style="pre") for native in (*target.natives, *other.natives)]
    if draft.maybe(0.4):
        draft.modprobe(*lines, *softdeps, where=BOTH)
    else:
        one, two = draft.choice.sample(["/etc/modprobe.d/a.conf", "/usr/lib/modprobe.d/b.conf", "/etc/modprobe.d/B.conf"], 2)
        draft.modprobe(lines[0], *softdeps, where=BOTH, path=one)
        draft.modprobe(lines[1], where=BOTH, path=two)
    if draft.maybe(0.3):
        chosen = draft.choice.choice((target, other))
        draft.note("vfio-pci.ids=")
        key = draft.choice.choice(("vfio-pci.ids", "vfio_pci.ids"))
        draft.cmdline.append(f"{key}={spelling.identifier(draft.choice, chosen.vendor, chosen.device)}")
    _pack_some(draft, target)


def blacklisted_native(draft: Draft, target: Target) -> None:
    """Keeps a native driver out where udev asks for it, but not where another module needs it or asks for it by name."""
    lines = [blacklist(draft, native) for native in _all_or_first(draft, target.natives)]
    if draft.maybe(0.5):
        draft.note("options ids=")
        lines.append(ids(draft, target))
        load_at_boot(draft, VFIO)
    if draft.maybe(0.15) and target.natives:
        # Named in a list as well: systemd-modules-load and conf/modules heed the blacklist, too.
        load_at_boot(draft, target.natives[0])
    if draft.maybe(0.12) and target.natives:
        # A softdep's modules are not asked whether they are blacklisted.
        other = draft.choice.choice([device for device in neighbours(target) if device.natives])
        lines.append(softdep(draft, other.natives[0], target.natives[0], draft.choice.choice(("pre", "post"))))
    draft.modprobe(*(lines or [blacklist(draft, "no_native")]))
    _pack_some(draft, target)


def blacklisted_vfio(draft: Draft, target: Target) -> None:
    """A softdep loads a module although it is blacklisted; a list of modules to load does not."""
    draft.note("options ids=")
    lines = [ids(draft, target), blacklist(draft, VFIO)]
    if draft.maybe(0.6):
        lines += [softdep(draft, native, style="pre") for native in target.natives]
    else:
        load_at_boot(draft, VFIO)
    draft.modprobe(*lines)
    _pack_some(draft, target)


def install(draft: Draft, target: Target) -> None:
    """`install` stands in for loading, unless a softdep of the module makes kmod ignore it."""
    draft.note("install")
    module = draft.choice.choice([*target.natives, VFIO] if target.natives else [VFIO])
    command = draft.choice.choices(("/bin/false", "/bin/true", "/usr/bin/false", ":"), (50, 35, 10, 5))[0]
    if draft.maybe(0.04):
        draft.note("install runs a command")
        command = "/sbin/modprobe --ignore-install " + module
    lines = [spelling.words(draft.choice, "install", spelling.module(draft.choice, module), command)]
    if draft.maybe(0.35):
        draft.note("install beside softdep")
        lines.append(softdep(draft, module, "no_such_module", draft.choice.choice(("pre", "post"))))
    if draft.maybe(0.5):
        draft.note("options ids=")
        lines.append(ids(draft, target))
        if draft.maybe(0.6) and module != VFIO:
            lines += [softdep(draft, native, style="pre") for native in target.natives if native != module]
            load_at_boot(draft, VFIO)
    draft.modprobe(*lines)
    _pack_some(draft, target)


def alias(draft: Draft, target: Target) -> None:
    """A configured alias replaces what modules.alias has for the device."""
    draft.note("alias")
    exact = target.modalias
    vendor_and_device = f"pci:v{target.vendor:08X}d{target.device:08X}sv*sd*bc*sc*i*"
    pattern = draft.choice.choices((exact, vendor_and_device, f"pci:v{target.vendor:08X}d*"), (45, 45, 10))[0]
    others = [native for other in neighbours(target) for native in other.natives]
    module = draft.choice.choices((VFIO, "no_such_module", draft.choice.choice(others)), (60, 25, 15))[0]
    lines = [spelling.words(draft.choice, "alias", pattern, spelling.module(draft.choice, module))]
    if draft.maybe(0.6):
        draft.note("options ids=")
        lines.append(ids(draft, target))
    if draft.maybe(0.15) and target.natives:
        lines.append(spelling.words(draft.choice, "alias", pattern, target.natives[0]))
    if draft.maybe(0.1):
        lines.append(blacklist(draft, module))
    draft.modprobe(*lines)
    _pack_some(draft, target)


def masked_file(draft: Draft, target: Target) -> None:
    """A file in /etc hides its namesake below /usr/lib."""
    draft.note("masked file")
    draft.note("options ids=")
    name = draft.choice.choice(("vfio.conf", "gpu.conf"))
    deciding = [ids(draft, target), *(softdep(draft, native, style="pre") for native in target.natives)]
    draft.modprobe(*deciding, where=BOTH, path=f"/usr/lib/modprobe.d/{name}")
    hiding = draft.choice.choice(("/etc/modprobe.d", "/usr/local/lib/modprobe.d"))
    # A third of them have another name, and so hide nothing.
    hides = draft.maybe(0.66)
    draft.modprobe("# nothing here", where=BOTH, path=f"{hiding}/{name if hides else 'other-' + name}")
    _pack_some(draft, target)


def not_a_file_of_kmod(draft: Draft, target: Target) -> None:
    """Files that kmod does not read, because of their names."""
    draft.note("file without .conf")
    name = draft.choice.choice(("vfio", "vfio.txt", ".vfio.conf", "vfio.conf.bak", "vfio.conf~"))
    lines = [ids(draft, target), *(softdep(draft, native, style="pre") for native in target.natives)]
    draft.modprobe(*lines, where=BOTH, path=f"/etc/modprobe.d/{name}")
    _pack_some(draft, target)


def weakdep(draft: Draft, target: Target) -> None:
    """Only for those who make images: it loads nothing."""
    draft.note("weakdep")
    draft.note("options ids=")
    lines = [spelling.words(draft.choice, "weakdep", native, "vfio_pci") for native in target.natives or ("no_native",)]
    draft.modprobe(ids(draft, target), *lines)
    _pack_some(draft, target)


def load_at_boot(draft: Draft, module: str) -> None:
    """A list of modules to load, in the root or in the initramfs."""
    name = spelling.module(draft.choice, module)
    places = ("modules-load.d", "modules-load.d lib", "conf/modules", "/etc/modules", "modules_load=")
    place = draft.choice.choices(places, (48, 10, 22, 10, 10))[0]
    if place == "modules-load.d":
        draft.note("modules-load.d")
        where = draft.scope() if draft.flow == "dracut" else ROOT_ONLY
        draft.line(f"/etc/modules-load.d/{draft.choice.choice(('vfio.conf', '10-a.conf', 'zz.conf'))}", name, where)
    elif place == "modules-load.d lib":
        draft.note("modules-load.d")
        draft.line("/usr/lib/modules-load.d/vfio.conf", name, ROOT_ONLY)
    elif place == "/etc/modules":
        draft.note("modules-load.d")
        draft.line("/etc/modules-load.d/modules.conf", name, ROOT_ONLY)
    elif place == "conf/modules" and draft.flow == "initramfs-tools":
        draft.note("conf/modules")
        draft.line("/conf/modules", name, ("image",))
        draft.pack(module)
    else:
        draft.note("modules_load=")
        draft.cmdline.append(f"{draft.choice.choice(('modules_load', 'modules-load'))}={name}")


def _all_or_first(draft: Draft, natives: tuple[str, ...]) -> tuple[str, ...]:
    return natives if draft.maybe(0.8) else natives[:1]


def _pack_some(draft: Draft, target: Target) -> None:
    """The image decides much: with the natives, with vfio-pci, with both, with neither."""
    have = draft.choice.choices(("both", "natives", "vfio", "neither"), (40, 20, 10, 30))[0]
    if have in ("both", "natives"):
        draft.pack(*target.natives)
    if have in ("both", "vfio"):
        draft.pack(VFIO)


THEMES = (
    (ids_alone, 8),
    (ids_and_softdep, 14),
    (softdep_alone, 3),
    (two_softdeps, 4),
    (ids_twice, 5),
    (blacklisted_native, 10),
    (blacklisted_vfio, 4),
    (install, 6),
    (alias, 7),
    (masked_file, 3),
    (not_a_file_of_kmod, 2),
    (weakdep, 2),
)
