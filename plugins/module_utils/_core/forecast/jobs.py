# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of lists of modules, and what a job says of what it loads."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import Job
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import plain
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import LoadList
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import Modprobe


def requests_of(job: Job) -> t.Iterator[LoadRequest]:
    """What a job loads, whatever that depends on."""
    for effect in map(plain, job.effects):
        if isinstance(effect, LoadRequest):
            yield effect


def refusals_of(job: Job, modules: t.Collection[str]) -> t.Iterator[Reason]:
    """What keeps some of these ``modules`` out."""
    for request in requests_of(job):
        yield from (refused.why for refused in request.refused if refused.module in modules)


def list_jobs(work: LoadList, modprobe: Modprobe) -> t.Iterator[Job]:
    """A list is one job; if its modules are loaded concurrently, each is one."""
    requests = [
        tuple(modprobe.ask(listed.name, work.honours_blacklist, Reason(listed.source, f"{work.program} loads {listed.said}")))
        for listed in work.modules
    ]
    if work.in_order:
        yield Job(tuple(request for found in requests for request in found))
    else:
        yield from (Job(found) for found in requests)
