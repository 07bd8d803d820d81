# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host's settings changes with its kernel arguments: the files that the program which makes the entries reads."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import extlinux, grubby, kernel_install, line_files
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.cmdline_way import MKCONFIG, running_arguments
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.efi_program import GRUB
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import FOLDER, SETTINGS, VARIABLES
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import KERNEL_INSTALL as LINE
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import (
    ENTRIES,
    GRUB_MKCONFIG,
    GRUBBY,
    MKINITCPIO,
    PROXMOX_BOOT_TOOL,
    U_BOOT_UPDATE,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_change import FileChange, FileState
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_transaction import read_state
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.argument_change import ArgumentChange
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline, name_and_value

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.cmdline_way import Way
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

DROP_IN = f"{FOLDER}/zz-vfio-variants.cfg"
"""Read last: others of these files set the variable without regard to what it was."""
HEADER = "# Written by the module kernel_cmdline of the Ansible collection vfio.variants, which also changes and removes it.\n"
COMMON, DEFAULT = VARIABLES
U_BOOT, U_BOOT_VARIABLE = "/etc/default/u-boot", "U_BOOT_PARAMETERS"
# What u-boot-update has without a setting.  (u-boot-menu: u-boot-update)
U_BOOT_USUAL = "ro quiet"
# What a loader or a generator adds by itself.
ADDED = frozenset(("BOOT_IMAGE", "initrd"))
ESCAPE = "\\"
FOREIGN_LINE = re.compile(r"^\s*(?:#.*)?$")


def changes(
    host: Host, way: Way, change: ArgumentChange, arguments: Cmdline, base: t.Mapping[str, FileState | None]
) -> tuple[FileChange, ...]:
    """The files to change, needed or not.  ``arguments`` are those of the entry that boots by default.

    ``base`` has the former state of files that are as an earlier run left them, and get it back.  Raises HostError for a file that
    cannot be changed in a way that is certain.
    """
    editor = _Editor(host, change, base)
    if is_of_grub(way):
        _of_grub(editor, arguments)
    elif way.method == U_BOOT_UPDATE:
        _of_u_boot(editor)
    elif way.method == ENTRIES:
        for place in way.places:
            editor.lines(place, *_keys(way.loader))
    elif way.method == GRUBBY:
        _of_grubby(editor, way)
    else:
        _of_line(editor, way, arguments)
    return tuple(editor.changes.values())


def words_of_settings(host: Host, way: Way, made: t.Sequence[FileChange]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What GRUB's settings give to the entries, in order, before and after the changes; None where only running tells."""
    if not is_of_grub(way):
        return None
    files = BootFiles(host)
    names = (
        [SETTINGS, *(f"{FOLDER}/{name}" for name in files.names(FOLDER) if name.endswith(".cfg"))] if _reads_folder(files) else [SETTINGS]
    )
    before = {place: files.text(place) or "" for place in names if host.is_file(place)}
    after = {**before, **{one.path: "" if one.after is None else one.after.content.decode("utf-8", "surrogateescape") for one in made}}
    if any(_read(texts).unknown.intersection(VARIABLES) for texts in (before, after)):
        return None
    return _setting(before).arguments, _setting(after).arguments


def is_of_grub(way: Way) -> bool:
    return way.method == GRUB_MKCONFIG or (way.method == PROXMOX_BOOT_TOOL and way.loader == GRUB)


def snapshot_places(host: Host, way: Way) -> tuple[str, ...]:
    """Text files that the way's program may write, to put them back if it fails."""
    if way.method == GRUBBY:
        created = (LINE,) if grubby.creates_line(host) else ()
        places = (*grubby.entry_files(host, way), SETTINGS, LINE, *grubby.ENVIRONMENTS)
    else:
        created = ()
        places = (*(place for place in way.places if not place.lower().endswith(".efi")), way.config)
    return (*(place for place in dict.fromkeys(places) if host.is_file(place)), *created)


def written_places(host: Host, way: Way, change: ArgumentChange, words: t.Sequence[str]) -> tuple[str, ...]:
    """What of these grubby is going to write when it adds or removes the words."""
    return grubby.written(host, way, words, change.wanted) if way.method == GRUBBY and words else ()


class _Editor:
    """Collects a change of each file; ``host`` is what is read."""

    def __init__(self, host: Host, change: ArgumentChange, base: t.Mapping[str, FileState | None]) -> None:
        self.host, self.files, self.change, self.base = host, BootFiles(host), change, base
        self.changes: dict[str, FileChange] = {}

    def text(self, place: str) -> str | None:
        """The text to change: as it is, or as it was before this collection changed it; None if there is none."""
        state = self.base[place] if place in self.base else read_state(self.host, place)
        return None if state is None else state.content.decode("utf-8", "surrogateescape")

    def put(self, place: str, text: str | None, mode: int = 0o644) -> None:
        before = read_state(self.host, place)
        if text is None:
            after = None
        else:
            former = self.base.get(place) or before
            after = FileState(text.encode("utf-8", "surrogateescape"), mode if former is None else former.mode)
            if before is not None and before.content == after.content:
                after = before
        self.changes[place] = FileChange(place, before, after)

    def lines(self, place: str, keys: tuple[str, ...], several: bool) -> None:
        """Change the lines that begin with one of these keys.  ``several``: they are one command line, of which the last gets more."""
        text = self.text(place)
        if text is None:
            return
        lines = text.splitlines(keepends=True)
        found = [number for number, line in enumerate(lines) if line.split(None, 1)[:1] and line.split(None, 1)[0].lower() in keys]
        if not found and self.change.wanted:
            if "label" in (line.split(None, 1)[0].lower() for line in lines if line.strip()):
                raise HostError(f"{place}: its entries have no `append` line that could be changed.", "Add one.")
            end = "" if not lines or lines[-1].endswith("\n") else "\n"
            self.put(place, f"{text}{end}{keys[0]} {' '.join(self.change.words)}\n")
            return
        whole = Cmdline.parse(" ".join(lines[number].split(None, 1)[1] for number in found if len(lines[number].split(None, 1)) > 1))
        if several and self.change.holds(whole):
            found = []
        change = ArgumentChange(self.change.missing(whole)) if several and self.change.wanted else self.change
        for number in found[-1:] if several and self.change.wanted else found:
            lines[number] = _edited_line(lines[number], change)
        self.put(place, "".join(lines))


def _keys(loader: str) -> tuple[tuple[str, ...], bool]:
    return (("append",), False) if loader == extlinux.NAME else (("options",), True)


def _edited_line(line: str, change: ArgumentChange) -> str:
    key = re.match(r"\s*\S+[ \t]*", line)
    start = key.end() if key else 0
    rest = line[start:]
    body = rest.rstrip("\r\n")
    blank = "" if line[:start].endswith((" ", "\t")) else " "
    return line[:start] + blank + change.edited(body) + rest[len(body) :]


# -- GRUB


def _of_grub(editor: _Editor, arguments: Cmdline) -> None:
    places = (SETTINGS, *(f"{FOLDER}/{name}" for name in editor.files.names(FOLDER) if name.endswith(".cfg")))
    has_folder = _reads_folder(editor.files)
    places = tuple(place for place in (places if has_folder else places[:1]) if editor.host.is_file(place))
    texts = {place: editor.files.text(place) or "" for place in places}
    if editor.change.wanted:
        # What only running these files would show is seen in the entry that was made of them.
        given = arguments if _read(texts).unknown.intersection(VARIABLES) else _setting(texts)
        editor.change = ArgumentChange(editor.change.missing(given))
        if editor.change.words:
            _add_to_grub(editor, texts, has_folder)
        return
    for place in places:
        if place == DROP_IN:
            _reduce_drop_in(editor)
        elif _found_in(texts[place], editor.change, VARIABLES) or place in editor.base:
            editor.put(place, _edited_assignments(place, editor.text(place) or "", editor.change, VARIABLES))


def _reads_folder(files: BootFiles) -> bool:
    """Whether this host's grub-mkconfig reads /etc/default/grub.d: that is a change of Debian and its derivatives."""
    programs = (files.host.which(name) for name in ("grub-mkconfig", "grub2-mkconfig"))
    return any("default/grub.d" in (files.text(program) or "") for program in programs if program)


def _read(texts: t.Mapping[str, str]) -> Assignments:
    """What the files set, in the order in which they are read: the folder's follow by name."""
    return Assignments.parse("\n".join(texts[place] for place in sorted(texts, key=lambda place: (place != SETTINGS, place))))


def _setting(texts: t.Mapping[str, str]) -> Cmdline:
    known = _read(texts)
    return Cmdline.parse(" ".join(known.get(name) or "" for name in VARIABLES))


def _found_in(text: str, change: ArgumentChange, names: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments that are meant and that a file gives to the variables, whatever these were, and beside what a shell works out."""
    known = Assignments.parse("".join(f"{name}=\n" for name in names) + text)
    written = (_value_of(match) for match in _assignment(names).finditer(text))
    lines = [" ".join(known.get(name) or "" for name in names), *(line for name, line in written if name in known.unknown)]
    return tuple(dict.fromkeys(word for line in lines for word in change.found(Cmdline.parse(line))))


def _holds(editor: _Editor, texts: t.Mapping[str, str]) -> bool:
    return editor.change.holds(_setting(texts))


def _add_to_grub(editor: _Editor, texts: dict[str, str], has_folder: bool) -> None:
    """Where the arguments come last, and before a `--`."""
    for name, in_front in ((DEFAULT, False), (COMMON, False), (COMMON, True)):
        if has_folder:
            place, text = DROP_IN, _drop_in(editor, texts.get(DROP_IN, ""), name, in_front)
        else:
            place, text = SETTINGS, _added(editor.text(SETTINGS) or "", editor.change, name, in_front)
        if _holds(editor, {**texts, place: text}) or (name, in_front) == (COMMON, True):
            break
    else:
        return
    planned = {**texts, place: text}
    if not _holds(editor, planned):
        if not _read(planned).unknown.intersection(VARIABLES):
            raise _taken_back(editor, place, planned)
        # What only running these files would show: the entries are looked at afterwards.
        text = (
            _drop_in(editor, texts.get(DROP_IN, ""), DEFAULT, False)
            if has_folder
            else _added(texts.get(place, ""), editor.change, DEFAULT, False)
        )
    editor.put(place, text)


def _taken_back(editor: _Editor, place: str, texts: t.Mapping[str, str]) -> HostError:
    pattern = _assignment(VARIABLES)
    later = [other for other in sorted(texts) if other > place == DROP_IN and pattern.search(texts[other])]
    return HostError(
        f"{place} cannot add {' '.join(editor.change.words)}: {', '.join(later) or 'what follows there'} sets {' and '.join(VARIABLES)} "
        "without it, or with another value.",
        f'Have it keep what was set before, as in {DEFAULT}="${DEFAULT} …".',
    )


def _drop_in(editor: _Editor, text: str, name: str, in_front: bool) -> str:
    parts = dict.fromkeys((DEFAULT, COMMON, f"{COMMON} in front"), "")
    parts.update(_parts(text))
    key = f"{name} in front" if in_front else name
    words = Cmdline.parse(parts[key]).arguments
    others = {word for place, part in parts.items() if place != key for word in Cmdline.parse(part).arguments}
    new = tuple(word for word in editor.change.words if word not in words and word not in others)
    parts[key] = " ".join((*words, *new))
    return _joined(parts)


def _joined(parts: t.Mapping[str, str]) -> str:
    lines = [HEADER]
    for key, words in parts.items():
        name = key.split(" ")[0]
        quoted = words.replace('"', '\\"')
        if words:
            lines.append(f'{name}="{quoted} ${name}"\n' if key != name else f'{name}="${name} {quoted}"\n')
    return "".join(lines)


def _parts(text: str) -> dict[str, str]:
    """The arguments in our own file by where it puts them.  Raises HostError if somebody has changed it."""
    found: dict[str, str] = {}
    for name in (DEFAULT, COMMON):
        for match in re.finditer(rf'^{name}="\${name} (.*)"$', text, re.MULTILINE):
            found[name] = match[1].replace('\\"', '"')
        for match in re.finditer(rf'^{name}="(.*) \${name}"$', text, re.MULTILINE):
            found[f"{name} in front"] = match[1].replace('\\"', '"')
    if text and _joined({**dict.fromkeys((DEFAULT, COMMON, f"{COMMON} in front"), ""), **found}) != text:
        raise HostError(f"{DROP_IN} is not as this collection has written it.", "Move its settings to a file of your own.")
    return found


def _reduce_drop_in(editor: _Editor) -> None:
    parts = {key: editor.change.edited(words) for key, words in _parts(editor.text(DROP_IN) or "").items()}
    ordered = {key: parts[key] for key in (DEFAULT, COMMON, f"{COMMON} in front") if parts.get(key)}
    editor.put(DROP_IN, _joined(ordered) if ordered else None)


def _added(text: str, change: ArgumentChange, name: str, in_front: bool) -> str:
    """A settings file whose variable has the arguments as well."""
    last = max(_assignment((name,)).finditer(text), key=lambda match: match.start(), default=None)
    if last is not None:
        return f"{text[: last.start()]}{_with_words(last, change, in_front)}{text[last.end() :]}"
    if re.search(rf"^[ \t]*(?:export[ \t]+)?{name}\+?=", text, re.MULTILINE):
        raise HostError(f"{name} is set in a way that cannot be changed safely.", 'Write it as a command of its own, as NAME="…".')
    end = "" if not text or text.endswith("\n") else "\n"
    words = " ".join(change.words).replace('"', '\\"')
    return f'{text}{end}{name}="{words}"\n'


def _assignment(names: tuple[str, ...]) -> re.Pattern[str]:
    """A whole assignment that is a command of its own, `+=` included; a quoted value may take several lines."""
    return re.compile(
        rf"""^([ \t]*(?:export[ \t]+)?(?:{"|".join(names)})\+?=)"""
        r"""(?:"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'|([^\s"'#;&|$`\\]*))([ \t\r]*(?:\#.*)?)$""",
        re.MULTILINE,
    )


def _value_of(match: re.Match[str]) -> tuple[str, str]:
    """The variable, and the value as it is written."""
    name = match[1].split("export")[-1].strip().rstrip("+=")
    return name, match[2] if match[2] is not None else match[3] if match[3] is not None else match[4] or ""


def _with_words(match: re.Match[str], change: ArgumentChange, in_front: bool) -> str:
    _name, text = _value_of(match)
    escape, quote = ("", "'") if match[3] is not None else ("\\", '"')
    if in_front and change.wanted:
        words = " ".join(change.words).replace('"', f'{escape}"')
        new = f"{words} {text}" if text else words
    else:
        new = change.edited(text, escape)
    return f"{match[1]}{quote}{new}{quote}{match[5]}" if new != text else match[0]


def _edited_assignments(place: str, text: str, change: ArgumentChange, names: tuple[str, ...]) -> str:
    """Without the arguments, wherever the variables are set."""
    new = _assignment(names).sub(lambda match: _with_words(match, change, False), text)
    left = _found_in(new, change, names)
    if left:
        raise HostError(f"{place} sets {' '.join(left)} in a way that cannot be changed safely.", "Remove it by hand.")
    return new


# -- other programs


def _of_u_boot(editor: _Editor) -> None:
    text = editor.text(U_BOOT) or ""
    known = Assignments.parse(text)
    value = known.get(U_BOOT_VARIABLE)
    # What says nothing is as if it were not set.
    is_unset = not value and U_BOOT_VARIABLE not in known.unknown
    if is_unset and U_BOOT not in editor.base and editor.host.is_file(LINE):
        # u-boot-update takes both the root and its parameters from there then.
        _edit_line(editor, LINE, Cmdline(()))
    elif editor.change.holds(Cmdline.parse(value or U_BOOT_USUAL)):
        if U_BOOT in editor.base:
            editor.put(U_BOOT, editor.text(U_BOOT))
    elif is_unset:
        end = "" if not text or text.endswith("\n") else "\n"
        editor.put(U_BOOT, f'{text}{end}{U_BOOT_VARIABLE}="{editor.change.edited(U_BOOT_USUAL, ESCAPE)}"\n')
    elif editor.change.wanted:
        editor.put(U_BOOT, _added(text, editor.change, U_BOOT_VARIABLE, False))
    else:
        editor.put(U_BOOT, _edited_assignments(U_BOOT, text, editor.change, (U_BOOT_VARIABLE,)))


def _of_grubby(editor: _Editor, way: Way) -> None:
    """The entries themselves are grubby's; what an earlier run had changed gets its former content."""
    if editor.host.is_file(LINE):
        _edit_line(editor, LINE, Cmdline(()))
    for place in grubby.entry_files(editor.host, way):
        if place in editor.base:
            text = editor.text(place)
            editor.put(place, text if text is None else _of_entry(text, editor.change))
    # grubby would replace the lines of all variables whose names begin alike, and only where the common one says something.
    text = editor.text(SETTINGS) or ""
    known = Assignments.parse(text)
    if SETTINGS in editor.base:
        editor.put(SETTINGS, editor.text(SETTINGS))
    elif known.get(COMMON) and COMMON not in known.unknown and not common_holds(text, editor.change):
        with contextlib.suppress(HostError):
            is_wanted = editor.change.wanted
            new = _added(text, editor.change, COMMON, False) if is_wanted else _edited_assignments(SETTINGS, text, editor.change, (COMMON,))
            editor.put(SETTINGS, new)


def common_holds(text: str, change: ArgumentChange) -> bool:
    """Whether the variable that grubby changes in these settings agrees already: what it would do to them then is to their other lines."""
    known = Assignments.parse(text)
    return COMMON not in known.unknown and change.holds(Cmdline.parse(known.get(COMMON) or ""))


def _of_entry(text: str, change: ArgumentChange) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(_edited_line(line, change) if line.split(None, 1)[:1] == ["options"] else line for line in lines)


def _of_line(editor: _Editor, way: Way, arguments: Cmdline) -> None:
    """/etc/kernel/cmdline, or the files of which the way's program joins each command line."""
    for places in line_files.sources(editor.files, way.method):
        own = [place for place in places if not place.startswith(line_files.OF_THE_SYSTEM)]
        if not own:
            _create_line(editor, LINE, arguments)
        elif not editor.change.wanted or len(places) == 1:
            for place in own:
                _edit_line(editor, place, arguments, is_first_line=way.method == PROXMOX_BOOT_TOOL)
        else:
            whole = Cmdline.parse(" ".join(line for place in places for _number, line in _used(editor.text(place) or "")))
            # What comes last counts.
            _edit_line(editor, own[-1], arguments, whole)


def _used(text: str) -> list[tuple[int, str]]:
    """The lines that are no comments, by their numbers."""
    return [(number, line) for number, line in enumerate(text.splitlines(keepends=True)) if not FOREIGN_LINE.match(line)]


def _edit_line(editor: _Editor, place: str, arguments: Cmdline, whole: Cmdline | None = None, *, is_first_line: bool = False) -> None:
    """A file that is one command line, or a part of the ``whole``; a line that is a comment or empty stays.

    ``is_first_line``: whatever else is in the file, its first line is the command line.  (proxmox-kernel-helper: get_first_line())
    """
    text = editor.text(place)
    if text is None:
        _create_line(editor, place, arguments)
        return
    lines = text.splitlines(keepends=True)
    used = [0] if is_first_line and lines else [number for number, _line in _used(text)]
    is_part = whole is not None or len(used) > 1
    whole = whole or Cmdline.parse(" ".join(lines[number] for number in used))
    if not editor.change.holds(whole):
        change = ArgumentChange(editor.change.missing(whole)) if editor.change.wanted and is_part else editor.change
        if not used and change.wanted:
            lines.append(" ".join(change.words) + "\n")
        for number in used[-1:] if change.wanted else used:
            lines[number] = change.edited(lines[number])
    editor.put(place, "".join(lines))


def _create_line(editor: _Editor, place: str, arguments: Cmdline) -> None:
    """The program would take the running kernel's arguments; from now on it takes this file."""
    running = running_arguments(editor.host)
    comes_back = editor.change.found(arguments) and (running is None or editor.change.found(Cmdline(running)))
    if not editor.change.wanted and (place in editor.base or not comes_back):
        editor.put(place, None)
        return
    words = tuple(word for word in arguments.arguments if name_and_value(word)[0] not in ADDED)
    if not words:
        raise HostError(f"{place} does not exist, and what the default entry has is not known.", "Write the root's arguments to it.")
    editor.put(place, editor.change.edited(" ".join(words)) + "\n")


# -- commands


def commands(
    host: Host, way: Way, change: ArgumentChange, words: t.Sequence[str], releases: t.Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """The commands that make the entries from the settings; ``words`` are the arguments that entries lack or have too many."""
    if way.method == GRUB_MKCONFIG:
        return (_mkconfig(host, way),)
    if way.method == GRUBBY:
        option = "--args" if change.wanted else "--remove-args"
        return (("grubby", "--update-kernel=ALL", f"{option}={' '.join(words)}"),) if words else ()
    fixed: dict[str, tuple[str, ...]] = {
        PROXMOX_BOOT_TOOL: (PROXMOX_BOOT_TOOL, "refresh"),
        "sdbootutil": ("sdbootutil", "update-all-entries"),
        MKINITCPIO: ("mkinitcpio", "-P"),
        U_BOOT_UPDATE: (U_BOOT_UPDATE,),
    }
    if way.method in fixed:
        return (fixed[way.method],)
    return () if way.method == ENTRIES else tuple(kernel_install.command(host, release) for release in releases)


def _mkconfig(host: Host, way: Way) -> tuple[str, ...]:
    if host.which("update-grub") is not None:
        return ("update-grub",)
    program = next(name for name in MKCONFIG if host.which(name) is not None)
    return (program, "-o", way.config)
