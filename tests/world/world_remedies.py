# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suggested changes on recorded whole hosts: each is done as its words say, and the forecast of the changed host judges it.

As for the hosts of tests/forecast: the device gets the driver for certain, and every other device keeps its answer.  The hosts that unit
tests describe are tried as well, for their first card.
"""

from __future__ import annotations

import contextlib
import tempfile
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import comparison
import policies
import remedies
from forked import in_processes
from remedies_kept import Judged, Kept
from world_configuration import Entries, Entry, World
from world_tree import WorldTrees, alike

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import parse as parse_selectors
from ansible_collections.vfio.variants.tests.unit import test_changes_of_hosts as described_hosts
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import CARD
from ansible_collections.vfio.variants.tests.unit.remedies import Followed, follow

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Winner

NOTHING = "/dev/null"


@dataclass(frozen=True)
class Remedies:
    """``parallel`` processes share the hosts out among them; what was judged before is in ``kept``."""

    trees: WorldTrees
    parallel: int = 2
    kept: Kept | None = None

    def judged(self, worlds: Sequence[World], described: Sequence[str] = ()) -> Iterator[Judged | None]:
        """``described`` are names of such hosts.  None for a host that was left for another run."""
        known = {} if self.kept is None else self.kept.read()
        names = [*(world.name for world in worlds), *described]
        for name in names:
            yield from known.get(name, ())
        left = sorted((world for world in worlds if world.name not in known), key=lambda world: repr(alike(world)))
        ordered: list[World | str] = [*left, *(name for name in described if name not in known)]
        groups = [ordered[number :: self.parallel * 4] for number in range(self.parallel * 4)]
        for found in in_processes(self._one, [group for group in groups if group], self.parallel):
            for of_host in found:
                yield from of_host if of_host is not None else (None,)

    def _one(self, host: World | str) -> list[Judged] | None:
        if self.kept is not None and self.kept.is_over:
            return None
        found = list(self._of_described(host) if isinstance(host, str) else self._of(host))
        if self.kept is not None:
            self.kept.add(host if isinstance(host, str) else host.name, found)
        return found

    def _of_described(self, name: str) -> Iterator[Judged]:
        with tempfile.TemporaryDirectory(prefix="tree-", dir=self.trees.place) as folder:
            try:
                tried = described_hosts.tried_on(described_hosts.HOSTS[name], Path(folder))
            except (ValueError, HostError) as error:
                tried = "Suggested", str(error)
        if tried is not None:
            yield Judged(name, CARD, described_hosts.GUEST, tried[0], tried[1] or "")

    def _of(self, world: World) -> Iterator[Judged]:
        with self._host(world) as host:
            before = remedies.answers_of(host)
        return remedies.judged(world.name, before, lambda sentence: self._answers_after(world, sentence))

    def _answers_after(self, world: World, sentence: str) -> Mapping[str, Winner] | str:
        """The forecast of the host on which the change was made; or why it cannot be made."""
        try:
            # A file that is named by a link to it is changed there.
            named = {path: _followed(world.root, entry) for path, entry in world.root.items() if not entry.link or f"{path}:" in sentence}
            texts = {path: entry.text for path, entry in named.items() if not entry.link}
            changed = self._applied(world, follow(sentence, texts, world.cmdline))
        except (ValueError, HostError) as error:
            return str(error)
        with self._host(changed) as host:
            return comparison.read_facts(host).answers()

    def _applied(self, world: World, done: Followed) -> World:
        changed = replace(world, root=_root_after(world.root, done.files), cmdline=done.cmdline)
        if not done.claims:
            return rebuilt(changed, ()) if done.rebuilds else changed
        with self._host(changed) as host:
            planned = policies.planned_on(host, [Claim(parse_selectors(one), driver) for one, driver in done.claims], remedies.MORE)
        if planned.refusal is not None:
            raise HostError(f"boot_policy refuses: {planned.refusal}")
        policy = planned.plan.policy
        files = {path: Entry(text) for path, text in policy.files.items()}
        return rebuilt(replace(changed, root={**changed.root, **files}), sorted(policy.modules))

    @contextlib.contextmanager
    def _host(self, world: World) -> Iterator[Host]:
        with tempfile.TemporaryDirectory(prefix="tree-", dir=self.trees.place) as name:
            yield Host(str(self.trees.lay_out(world, Path(name) / "root")), comparison.run)


def _root_after(root: Entries, files: Mapping[str, str]) -> Entries:
    """Files keep their modes; a link to what was changed is a file afterwards."""
    links = {path: entry for path, entry in root.items() if entry.link}
    return {**links, **{path: replace(_followed(root, root.get(path, Entry())), text=text) for path, text in files.items()}}


def rebuilt(world: World, modules: Sequence[str]) -> World:
    """The host after its initramfs was made again of the root's files, with ``modules`` besides its own."""
    own = {path: entry for path, entry in world.image.items() if not policies.is_copied(path, world.flow)}
    copied = {path: _followed(world.root, entry) for path, entry in world.root.items() if policies.is_copied(path, world.flow)}
    needed = tuple(one for one in modules if one not in world.image_modules)
    packed = tuple(one for one in world.image_modules if one not in world.missing_modules)
    return replace(world, image=dict(sorted({**own, **copied}.items())), image_modules=(*packed, *needed))


def _followed(root: Entries, entry: Entry) -> Entry:
    """What a link leads to; one to /dev/null is copied as it is."""
    return root.get(entry.link, Entry()) if entry.link and entry.link != NOTHING else entry
