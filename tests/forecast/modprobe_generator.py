# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modprobe.d can say about a device, each directive where it decides and where it only seems to."""

from __future__ import annotations

import line_variants
from config_builder import BOTH, ROOT_ONLY, ConfigBuilder
from targets import Target, neighbours

VFIO = "vfio_pci"


def ids(builder: ConfigBuilder, target: Target, module: str = VFIO) -> str:
    """An options line that gives the target's ID to a module, at times among others or narrowed to its subsystem."""
    entries = [line_variants.identifier(builder.choice, target.vendor, target.device, _subsystem(builder, target))]
    if builder.maybe(0.2):
        other = builder.choice.choice(neighbours(target))
        entries.insert(builder.choice.choice((0, 1)), line_variants.identifier(builder.choice, other.vendor, other.device))
    if builder.maybe(0.1):
        entries.append("dead:beef")
    value = ",".join(entries)
    value = f'"{value}"' if builder.maybe(0.06) else value
    more = builder.choice.choice(("", "", "", "disable_idle_d3=1")) if module == VFIO else ""
    return line_variants.words(
        builder.choice, "options", line_variants.module(builder.choice, module), f"ids={value}", *([more] if more else [])
    )


def _subsystem(builder: ConfigBuilder, target: Target) -> tuple[int, int] | None:
    if builder.maybe(0.85):
        return None
    # A subsystem that is not the card's: the entry does not match it.
    return (target.subsystem_vendor, target.subsystem_device if builder.maybe(0.7) else target.subsystem_device ^ 0x0101)


def softdep(builder: ConfigBuilder, module: str, pre: str = VFIO, style: str | None = None) -> str:
    """`softdep module pre: other`, with what else may stand around it."""
    chosen = style or builder.choice.choices(("pre", "pre two", "post", "pre post", "two blanks", "three blanks"), (64, 10, 10, 8, 5, 3))[0]
    builder.note("softdep post" if chosen == "post" else "softdep pre")
    name, before = line_variants.module(builder.choice, module), line_variants.module(builder.choice, pre)
    if chosen == "post":
        return line_variants.words(builder.choice, "softdep", name, "post:", before)
    if chosen == "pre two":
        return line_variants.words(builder.choice, "softdep", name, "pre:", "no_such_module", before)
    if chosen == "pre post":
        return line_variants.words(builder.choice, "softdep", name, "post:", "edu_none", "pre:", before)
    if chosen == "two blanks":
        return f"softdep {name}  pre: {before}"
    if chosen == "three blanks":
        return f"softdep {name}   pre: {before}"
    return line_variants.words(builder.choice, "softdep", name, "pre:", before)


def blacklist(builder: ConfigBuilder, module: str) -> str:
    builder.note("blacklist")
    tail = builder.choice.choice(("", "", "", "", "# not here", "second"))
    return line_variants.words(builder.choice, "blacklist", line_variants.module(builder.choice, module), *([tail] if tail else []))


# Generators: each makes a device's fate hang on a directive.


def ids_alone(builder: ConfigBuilder, target: Target) -> None:
    """The guides' favourite: ids= and nothing that loads vfio-pci before the native driver."""
    builder.note("options ids=")
    builder.modprobe(ids(builder, target))
    if builder.maybe(0.5):
        load_at_boot(builder, VFIO)
    if builder.maybe(0.5):
        builder.pack(*target.natives)
    if builder.maybe(0.4):
        builder.pack(VFIO)


def ids_and_softdep(builder: ConfigBuilder, target: Target) -> None:
    builder.note("options ids=")
    if not target.natives:
        load_at_boot(builder, VFIO)
    lines = [ids(builder, target), *(softdep(builder, native) for native in target.natives)]
    builder.choice.shuffle(lines)
    builder.modprobe(*lines)
    _pack_some(builder, target)


def softdep_alone(builder: ConfigBuilder, target: Target) -> None:
    """Loads vfio-pci first, but gives it no device."""
    builder.modprobe(*(softdep(builder, native) for native in target.natives or ("no_native",)))
    _pack_some(builder, target)


def two_softdeps(builder: ConfigBuilder, target: Target) -> None:
    """kmod honours only the first softdep of a module, by the files' names."""
    builder.note("options ids=")
    builder.note("softdep twice")
    native = target.natives[0] if target.natives else VFIO
    first, second = softdep(builder, native, "no_such_module", "pre"), softdep(builder, native, VFIO, "pre")
    if builder.maybe(0.5):
        first, second = second, first
    builder.modprobe(ids(builder, target), where=BOTH)
    builder.modprobe(first, where=BOTH, path="/etc/modprobe.d/20-one.conf")
    builder.modprobe(second, where=BOTH, path=builder.choice.choice(("/etc/modprobe.d/30-two.conf", "/usr/lib/modprobe.d/10-two.conf")))
    _pack_some(builder, target)


def ids_twice(builder: ConfigBuilder, target: Target) -> None:
    """Of several ids= the last counts, by the files' names, the command line's at the very end."""
    builder.note("options ids=")
    builder.note("ids= twice")
    other = builder.choice.choice(neighbours(target))
    lines = [ids(builder, target), line_variants.words(builder.choice, "options", "vfio-pci", f"ids={other.vendor:04x}:{other.device:04x}")]
    if builder.maybe(0.5):
        lines.reverse()
    softdeps = [softdep(builder, native, style="pre") for native in (*target.natives, *other.natives)]
    if builder.maybe(0.4):
        builder.modprobe(*lines, *softdeps, where=BOTH)
    else:
        one, two = builder.choice.sample(["/etc/modprobe.d/a.conf", "/usr/lib/modprobe.d/b.conf", "/etc/modprobe.d/B.conf"], 2)
        builder.modprobe(lines[0], *softdeps, where=BOTH, path=one)
        builder.modprobe(lines[1], where=BOTH, path=two)
    if builder.maybe(0.3):
        chosen = builder.choice.choice((target, other))
        builder.note("vfio-pci.ids=")
        key = builder.choice.choice(("vfio-pci.ids", "vfio_pci.ids"))
        builder.cmdline.append(f"{key}={line_variants.identifier(builder.choice, chosen.vendor, chosen.device)}")
    _pack_some(builder, target)


def blacklisted_native(builder: ConfigBuilder, target: Target) -> None:
    """Keeps a native driver out where udev asks for it, but not where another module needs it or asks for it by name."""
    lines = [blacklist(builder, native) for native in _all_or_first(builder, target.natives)]
    if builder.maybe(0.5):
        builder.note("options ids=")
        lines.append(ids(builder, target))
        load_at_boot(builder, VFIO)
    if builder.maybe(0.15) and target.natives:
        # Named in a list as well: systemd-modules-load and conf/modules honour the blacklist, too.
        load_at_boot(builder, target.natives[0])
    if builder.maybe(0.12) and target.natives:
        # A softdep's modules are not asked whether they are blacklisted.
        other = builder.choice.choice([device for device in neighbours(target) if device.natives])
        lines.append(softdep(builder, other.natives[0], target.natives[0], builder.choice.choice(("pre", "post"))))
    builder.modprobe(*(lines or [blacklist(builder, "no_native")]))
    _pack_some(builder, target)


def blacklisted_vfio(builder: ConfigBuilder, target: Target) -> None:
    """A softdep loads a module although it is blacklisted; a list of modules to load does not."""
    builder.note("options ids=")
    lines = [ids(builder, target), blacklist(builder, VFIO)]
    if builder.maybe(0.6):
        lines += [softdep(builder, native, style="pre") for native in target.natives]
    else:
        load_at_boot(builder, VFIO)
    builder.modprobe(*lines)
    _pack_some(builder, target)


def install(builder: ConfigBuilder, target: Target) -> None:
    """`install` stands in for loading, unless a softdep of the module makes kmod ignore it."""
    builder.note("install")
    module = builder.choice.choice([*target.natives, VFIO] if target.natives else [VFIO])
    command = builder.choice.choices(("/bin/false", "/bin/true", "/usr/bin/false", ":"), (50, 35, 10, 5))[0]
    if builder.maybe(0.04):
        builder.note("install runs a command")
        command = "/sbin/modprobe --ignore-install " + module
    lines = [line_variants.words(builder.choice, "install", line_variants.module(builder.choice, module), command)]
    if builder.maybe(0.35):
        builder.note("install beside softdep")
        lines.append(softdep(builder, module, "no_such_module", builder.choice.choice(("pre", "post"))))
    if builder.maybe(0.5):
        builder.note("options ids=")
        lines.append(ids(builder, target))
        if builder.maybe(0.6) and module != VFIO:
            lines += [softdep(builder, native, style="pre") for native in target.natives if native != module]
            load_at_boot(builder, VFIO)
    builder.modprobe(*lines)
    _pack_some(builder, target)


def alias(builder: ConfigBuilder, target: Target) -> None:
    """A configured alias replaces what modules.alias has for the device."""
    builder.note("alias")
    exact = target.modalias
    vendor_and_device = f"pci:v{target.vendor:08X}d{target.device:08X}sv*sd*bc*sc*i*"
    pattern = builder.choice.choices((exact, vendor_and_device, f"pci:v{target.vendor:08X}d*"), (45, 45, 10))[0]
    others = [native for other in neighbours(target) for native in other.natives]
    module = builder.choice.choices((VFIO, "no_such_module", builder.choice.choice(others)), (60, 25, 15))[0]
    lines = [line_variants.words(builder.choice, "alias", pattern, line_variants.module(builder.choice, module))]
    if builder.maybe(0.6):
        builder.note("options ids=")
        lines.append(ids(builder, target))
    if builder.maybe(0.15) and target.natives:
        lines.append(line_variants.words(builder.choice, "alias", pattern, target.natives[0]))
    if builder.maybe(0.1):
        lines.append(blacklist(builder, module))
    builder.modprobe(*lines)
    _pack_some(builder, target)


def masked_file(builder: ConfigBuilder, target: Target) -> None:
    """A file in /etc hides its namesake below /usr/lib."""
    builder.note("masked file")
    builder.note("options ids=")
    name = builder.choice.choice(("vfio.conf", "gpu.conf"))
    deciding = [ids(builder, target), *(softdep(builder, native, style="pre") for native in target.natives)]
    builder.modprobe(*deciding, where=BOTH, path=f"/usr/lib/modprobe.d/{name}")
    hiding = builder.choice.choice(("/etc/modprobe.d", "/usr/local/lib/modprobe.d"))
    # A third of them have another name, and so hide nothing.
    hides = builder.maybe(0.66)
    builder.modprobe("# nothing here", where=BOTH, path=f"{hiding}/{name if hides else 'other-' + name}")
    _pack_some(builder, target)


def not_a_file_of_kmod(builder: ConfigBuilder, target: Target) -> None:
    """Files that kmod does not read, because of their names."""
    builder.note("file without .conf")
    name = builder.choice.choice(("vfio", "vfio.txt", ".vfio.conf", "vfio.conf.bak", "vfio.conf~"))
    lines = [ids(builder, target), *(softdep(builder, native, style="pre") for native in target.natives)]
    builder.modprobe(*lines, where=BOTH, path=f"/etc/modprobe.d/{name}")
    _pack_some(builder, target)


def weakdep(builder: ConfigBuilder, target: Target) -> None:
    """Only for those who make images: it loads nothing."""
    builder.note("weakdep")
    builder.note("options ids=")
    lines = [line_variants.words(builder.choice, "weakdep", native, "vfio_pci") for native in target.natives or ("no_native",)]
    builder.modprobe(ids(builder, target), *lines)
    _pack_some(builder, target)


def load_at_boot(builder: ConfigBuilder, module: str) -> None:
    """A list of modules to load, in the root or in the initramfs."""
    name = line_variants.module(builder.choice, module)
    places = ("modules-load.d", "modules-load.d lib", "conf/modules", "/etc/modules", "modules_load=")
    place = builder.choice.choices(places, (48, 10, 22, 10, 10))[0]
    if place == "modules-load.d":
        builder.note("modules-load.d")
        where = builder.scope() if builder.flow == "dracut" else ROOT_ONLY
        builder.line(f"/etc/modules-load.d/{builder.choice.choice(('vfio.conf', '10-a.conf', 'zz.conf'))}", name, where)
    elif place == "modules-load.d lib":
        builder.note("modules-load.d")
        builder.line("/usr/lib/modules-load.d/vfio.conf", name, ROOT_ONLY)
    elif place == "/etc/modules":
        builder.note("modules-load.d")
        builder.line("/etc/modules-load.d/modules.conf", name, ROOT_ONLY)
    elif place == "conf/modules" and builder.flow == "initramfs-tools":
        builder.note("conf/modules")
        builder.line("/conf/modules", name, ("image",))
        builder.pack(module)
    else:
        builder.note("modules_load=")
        builder.cmdline.append(f"{builder.choice.choice(('modules_load', 'modules-load'))}={name}")


def _all_or_first(builder: ConfigBuilder, natives: tuple[str, ...]) -> tuple[str, ...]:
    return natives if builder.maybe(0.8) else natives[:1]


def _pack_some(builder: ConfigBuilder, target: Target) -> None:
    """The image decides much: with the natives, with vfio-pci, with both, with neither."""
    have = builder.choice.choices(("both", "natives", "vfio", "neither"), (40, 20, 10, 30))[0]
    if have in ("both", "natives"):
        builder.pack(*target.natives)
    if have in ("both", "vfio"):
        builder.pack(VFIO)


GENERATORS = (
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
