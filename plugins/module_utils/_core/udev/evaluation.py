# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How udev goes through its rules for one event: what it does while it compares, and what it runs afterwards.

As udev_rules_apply_to_event() in udev-rules.c.  A device's driver is not known here: what depends on it is handed on with its keys.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.answers import (
    EventState,
    Holds,
    KeysMatch,
    expanded,
    match,
    property_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.driver_keys import NO_OVERRIDE, OVERRIDE
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import ACCOUNTS
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.pending import Jumps, RunList
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rule import AppliedKey, Rule
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import (
    ADD,
    OF_FUNCTIONS,
    PATH_PROPERTIES,
    UNKNOWN_PROPERTIES,
    path_of,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.event_context import EventContext
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.key import Key
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import Subject

FINAL, CLEARS = ":=", ("=", ":=")
LAST_WITH_ANY_PARENT = 257
"""The last systemd of which it is known that IMPORT{parent} goes well wherever there is a parent (import_parent_into_properties())."""
YES = KeysMatch(True)
_REMOVES = "-="
_TAG, _EARLY_TAG = re.compile(r"[0-9A-Za-z_-]+"), re.compile(r"[^: ]+")
"""The names that tags may have: up to systemd 252 all without a colon and a blank, from 257 on as is_valid_tag() of sd-device.c says."""
EARLY_TAGS, LATER_TAGS = 252, 257
_PROPERTY, _REFUSED = re.compile(r"[0-9A-Za-z_.]+"), re.compile("[\0-\x1f\x7f\ud800-\udfff]")
"""The names that properties may have, and what their values may not: up to systemd 257 any, in 262 these (device_add_property())."""
ANY_PROPERTIES, STRICT_PROPERTIES = 257, 262
ESCAPES, ESCAPES_NOT, _ESCAPED = "string_escape=replace", "string_escape=none", re.compile(r"[^0-9A-Za-z#+.:=@_-]")
"""udev_replace_chars(): signs besides these may be replaced."""


class Evaluation:
    """One event.  ``rules_about`` has those for a function's name; without it the rules are all."""

    def __init__(
        self,
        rules: t.Iterable[Rule],
        around: EventContext,
        subject: Subject,
        action: str,
        rules_about: t.Callable[[str], t.Sequence[Rule]] | None = None,
    ) -> None:
        self._rules = tuple(rules)
        self._around = around
        self._subject = subject
        # The rules for other actions than "add" are not those of the event that gave the device above its tags.
        self._state = EventState(action, above=self._above if action == ADD else None)
        self._rules_about = rules_about or (lambda _name: self._rules)
        self._events_above: dict[str, EventState] = {}
        self._jumps = Jumps()
        self._done: list[AppliedKey] = []
        self._run = RunList()
        self._is_final = False
        self._may_be_final = False
        self._has_path = False
        self._may_escape = False
        """Whether udev may put `_` in place of signs in the values of properties."""

    def matching(self) -> t.Iterator[tuple[Rule, bool]]:
        """The rules that match, in order, and whether that is certain whatever driver the device has."""
        for rule, found in self._matched():
            yield rule, found.holds is True and not found.drivers

    def done(self) -> tuple[AppliedKey, ...]:
        """What udev does, in order: while it compares, then what it runs."""
        for _matched in self._matched():
            pass
        return (*self._done, *self._run.all())

    @property
    def state(self) -> EventState:
        """What the rules have set in the end."""
        return self._state

    def _above(self, one: Subject) -> EventState:
        """Events of a device wait for those of the devices above it (event_is_blocked() in udev-manager.c)."""
        name = one.name or ""
        if name not in self._events_above:
            subject = dataclasses.replace(one, is_event_s=True)
            event = Evaluation(self._rules_about(name), self._around, subject, ADD, self._rules_about)
            event.done()
            self._events_above[name] = event.state
        return self._events_above[name]

    def _matched(self) -> t.Iterator[tuple[Rule, KeysMatch]]:
        skip_to: tuple[str, str] | None = None
        name = self._subject.name
        for rule in self._rules:
            if rule.label is not None:
                self._jumps.end(rule.path, rule.label)
                skip_to = None if skip_to == (rule.path, rule.label) else skip_to
            if skip_to is not None and skip_to[0] == rule.path:
                continue
            constant = rule.constant
            if constant is not None and not self._jumps:
                self._done += constant
                for done in constant:
                    self._keep_override(done)
                yield rule, YES
                continue
            addresses = rule.addresses
            if addresses is not None and name is not None and name not in addresses:
                continue
            self._state.written = rule.writes_alone
            found = self._within_jumps(rule, match(rule.compared, self._subject, self._around, self._state))
            found = self._if_taken(rule, found)
            if found.holds is not False:
                self._state.parent = found.parent
                found = self._carry_out(rule, found)
            if found.holds is False:
                continue
            yield rule, found
            if rule.target is not None:
                skip_to = self._jump(rule, rule.target, found) or skip_to

    def _if_taken(self, rule: Rule, found: KeysMatch) -> KeysMatch:
        """udev may drop a line with an account that it does not know or does not give a node to."""
        unknown = self._around.files.unknown_accounts
        key = next((key for key in rule.keys if unknown and key.name in ACCOUNTS and key.value in unknown), None)
        return found if key is None or found.holds is False else dataclasses.replace(found, holds=None, doubt=found.doubt or key)

    def _within_jumps(self, rule: Rule, found: KeysMatch) -> KeysMatch:
        here = self._jumps.within(rule.path)
        if not here or found.holds is False:
            return found
        unless = tuple(key for key in here if key is not None)
        return dataclasses.replace(found, holds=found.holds if len(unless) == len(here) else None, drivers=(*found.drivers, *unless))

    def _jump(self, rule: Rule, target: str, found: KeysMatch) -> tuple[str, str] | None:
        if found.holds is True and not found.drivers:
            return rule.path, target
        unless = None
        if found.holds is True and len(found.drivers) == 1:
            key = found.drivers[0]
            unless = dataclasses.replace(key, operator="==" if key.is_negated else "!=")
        self._jumps.add(rule.path, target, unless)
        return None

    def _compared_result(self, key: Key, found: KeysMatch) -> KeysMatch:
        result = self._state.result
        if result is None:
            return dataclasses.replace(found, holds=None, doubt=found.doubt or key)
        return dataclasses.replace(found, holds=key.matches(result))

    # -- what a rule does

    def _carry_out(self, rule: Rule, found: KeysMatch) -> KeysMatch:
        """Its keys in udev's order; what it runs may end it."""
        for key in rule.in_order:
            if key.is_run:
                self._note(self._done, rule, key, found)
                answer = self._result_of(key, found)
                doubt = found.doubt or (key if answer is None else None)
                found = dataclasses.replace(found, holds=False if answer is False else found.holds and answer, doubt=doubt)
            elif key.name == "RESULT" and found.holds is True:
                # One that stands beside a PROGRAM or an IMPORT is compared only now.
                found = self._compared_result(key, found)
            elif not key.is_match:
                self._assign(rule, key, found)
            if found.holds is False:
                break
        return found

    def _note(self, where: list[AppliedKey], rule: Rule, key: Key, found: KeysMatch) -> None:
        value = expanded(key.value, self._subject, self._around, self._state)
        where.append(AppliedKey(rule, key, value, found.holds is True, found.drivers, found.doubt))

    def _result_of(self, key: Key, found: KeysMatch) -> Holds:
        """Whether PROGRAM or IMPORT goes well, with what it sets."""
        certain = found.holds is True and not found.drivers
        state = self._state
        if key.name == "PROGRAM":
            ending = self._around.endings.get(key.value)
            written = ending if isinstance(ending, str) else ""
            state.result = written if ending is not None and (certain or state.result == written) else None
            return None if ending is None else (ending is not False) != key.is_negated
        if key.attribute == "cmdline":
            return self._import_word(key, certain)
        if key.attribute == "file":
            return self._import_file(key, certain)
        if key.attribute == "program" and key.value in self._around.endings:
            return self._import_written(key, certain)
        if key.words[:1] == ["kmod"] and key.is_builtin:
            # `kmod load` goes well whatever it finds, and there is no other command.
            return (key.words[1:2] == ["load"]) != key.is_negated
        if key.is_builtin and key.words[:1] == ["path_id"]:
            return self._import_path(key, certain)
        if key.is_builtin:
            # What builtins but kmod bring begins with ID_ and is taken for unknown anyway; whether they find something is so, too.
            return None
        if key.attribute == "parent":
            return self._import_parent(key, certain)
        if key.attribute == "db":
            return self._import_kept(key, certain)
        state.forget()
        return None

    def _import_kept(self, key: Key, certain: bool) -> Holds:
        """A property of the event itself, or one that udev's database has of those before: none at the first (device_clone_with_db())."""
        value = self._subject.property(key.value) if key.value in OF_FUNCTIONS else None if key.value in UNKNOWN_PROPERTIES else ""
        if value:
            self._state.set_property(key.value, value if certain else None)
            return not key.is_negated
        if value == "" and self._around.is_first and self._state.action == ADD:
            return key.is_negated
        self._state.properties[key.value] = None
        return None

    def _import_parent(self, key: Key, certain: bool) -> Holds:
        state = self._state
        state.forget_matching(key.value)
        state.all_known = state.all_known and key.value.startswith("ID_")
        self._take_over(key.value, certain)
        version = self._around.files.version
        if version is not None and version <= LAST_WITH_ANY_PARENT:
            return not key.is_negated
        # Later ones ask whether the parent has such a property, of which those of the kernel are known.
        above = self._subject.parents[:1] if self._subject.all_parents else ()
        known = {name for one in above if one.device is not None for name in ("DEVPATH", "SUBSYSTEM", *one.uevent)}
        return not key.is_negated if any(matches(name, key.value) for name in known) else None

    def _take_over(self, pattern: str, certain: bool) -> None:
        """The kernel's properties of the device above replace the event's own."""
        subject = self._subject
        above = subject.parents[0] if subject.all_parents and subject.parents else None
        for name in (name for name in OF_FUNCTIONS if matches(name, pattern)):
            value = None if above is None else above.property(name)
            is_root = above is not None and above.subsystem == ""
            if value != "" and not (is_root and name != "DEVPATH"):
                self._state.set_property(name, value if certain else None)

    def _import_path(self, key: Key, certain: bool) -> Holds:
        """As udev-builtin-path_id.c, which is run once for an event."""
        place = path_of(self._subject)
        if place is None:
            return None
        if not self._has_path:
            self._has_path = certain
            for name, value in zip(PATH_PROPERTIES, (place, re.sub(r"[^0-9A-Za-z-]+", "_", place))):
                self._state.set_property(name, value if certain else None)
        return not key.is_negated

    def _import_word(self, key: Key, certain: bool) -> Holds:
        state = self._state
        if self._around.cmdline is None:
            state.properties[key.value] = None
            return None
        word = self._around.word(key.value)
        if word is not None:
            self._give(key.value, word if certain else None)
        return (word is not None) != key.is_negated

    def _import_file(self, key: Key, certain: bool) -> Holds:
        path = expanded(key.value, self._subject, self._around, self._state)
        files = self._around.files
        if path is None or not files.imports(path, key.value):
            self._state.forget()
            return None
        found = files.imported.get(path)
        for name, value in found or ():
            self._give(name, value if certain else None)
        return (found is not None) != key.is_negated

    def _import_written(self, key: Key, certain: bool) -> Holds:
        """What a program whose output is known gives: a property, if it is one (get_property_from_string())."""
        ending = self._around.endings[key.value]
        name, equals, value = ending.partition("=") if isinstance(ending, str) else ("", "", "")
        if equals and value:
            self._give(name.strip(), value.strip() if certain else None)
        return (ending is not False) != key.is_negated

    def _assign(self, rule: Rule, key: Key, found: KeysMatch) -> None:
        certain = found.holds is True and not found.drivers
        if key.name == "ENV":
            self._set_property(key, certain)
            self._note(self._done, rule, key, found)
        elif key.name == "TAG":
            self._set_tag(key, certain)
        elif key.name == "OPTIONS":
            self._may_escape = key.value == ESCAPES or (self._may_escape and not (certain and key.value == ESCAPES_NOT))
        elif key.name in ("ATTR", "SYSCTL"):
            self._note(self._done, rule, key, found)
            self._keep_override(self._done[-1])
        elif key.name == "RUN":
            self._add_run(rule, key, found)

    def _set_property(self, key: Key, certain: bool) -> None:
        name, state = key.attribute or "", self._state
        if not key.value and key.operator == "+=":
            return
        value = expanded(key.value, self._subject, self._around, state) if certain else None
        if value is not None and self._may_escape and _ESCAPED.search(value):
            value = None
        if value is not None and key.operator == "+=":
            before = property_of(name, self._subject, self._around, state)
            value = None if before is None else f"{before} {value}" if before else value
        self._give(name, value)

    def _give(self, name: str, value: str | None) -> None:
        """What a property gets, unless udev refuses its name or its value, and leaves it as it was."""
        if _PROPERTY.fullmatch(name) and not _REFUSED.search(value or ""):
            self._state.set_property(name, value)
            return
        version = self._around.files.version
        if version is None or version < STRICT_PROPERTIES:
            self._state.set_property(name, value if version is not None and version <= ANY_PROPERTIES else None)

    def _keep_override(self, done: AppliedKey) -> None:
        """Of what is written to the device's own override, what later rules of the event read; an empty value is not written."""
        if (done.key.name, done.key.attribute) != ("ATTR", OVERRIDE) or (done.value == "" and done.certain and not done.drivers):
            return
        known = done.certain and not done.drivers and not self._state.has_asked_override and done.value is not None
        self._state.override = (done.value.partition("\n")[0] or NO_OVERRIDE) if known and done.value is not None else None

    def _set_tag(self, key: Key, certain: bool) -> None:
        tag = expanded(key.value, self._subject, self._around, self._state)
        tags = self._state.tags
        if key.operator in CLEARS:
            self._state.clear_tags(certain)
            tags = self._state.tags
        if tag is None:
            self._state.tags_known = False
        elif key.operator != _REMOVES:
            valid = self._is_tag(tag)
            if valid is not False:
                self._state.set_tag(tag, certain and valid is True)
        elif certain:
            tags.pop(tag, None)
        elif tag in tags:
            tags[tag] = False

    def _is_tag(self, name: str) -> Holds:
        """Whether a tag may be called so; None if that depends on systemd's version, which is not known."""
        version = self._around.files.version
        early, later = _EARLY_TAG.fullmatch(name) is not None, _TAG.fullmatch(name) is not None
        if early is later:
            return early
        return early if version is not None and version <= EARLY_TAGS else later if version is not None and version >= LATER_TAGS else None

    def _add_run(self, rule: Rule, key: Key, found: KeysMatch) -> None:
        """As TK_A_RUN_PROGRAM: `=` clears the list, `:=` forbids later entries as well."""
        if self._is_final:
            return
        certain = found.holds is True and not found.drivers
        if self._may_be_final:
            found = KeysMatch(None, found.drivers)
        if key.operator in CLEARS and certain and not self._may_be_final:
            self._run.clear()
        elif key.operator in CLEARS:
            self._run.may_be_cleared()
        if key.operator == FINAL:
            self._is_final, self._may_be_final = certain, True
        added: list[AppliedKey] = []
        self._note(added, rule, key, found)
        self._run.add(added[0])
