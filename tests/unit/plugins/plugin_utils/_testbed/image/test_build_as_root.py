# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes back from the process that builds an image as root."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError, MissingPackage
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.build_as_root import _deserialized, _serialized


def test_the_archives_fault_is_still_the_archives_on_the_other_side() -> None:
    error = _deserialized(_serialized(ArchiveUnavailableError([MissingPackage("dkms", "404", "3.2.2", "dkms")])))
    assert isinstance(error, ArchiveUnavailableError)
    assert error.missing == (MissingPackage("dkms", "404", "3.2.2", "dkms"),)


def test_a_fault_of_ours_is_still_ours() -> None:
    error = _deserialized(_serialized(HostError("The packages built no initramfs.", "Check initramfs.")))
    assert not isinstance(error, ArchiveUnavailableError)
    assert str(error) == "The packages built no initramfs. Check initramfs."


def test_a_builder_that_was_killed_is_shown_with_its_last_words() -> None:
    assert str(_deserialized("Killed")) == "The image's builder ended: Killed"
