# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every run that changes the host does first: it undoes, finishes or removes what runs that were killed have left behind."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host import recovery

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovery


def recover(host: Host, check_mode: bool) -> Recovery:
    """See to what is left.  The lock is held, or it is check mode, which only predicts.  Raises HostError if something cannot be undone."""
    return recovery.recover(host, check_mode)
