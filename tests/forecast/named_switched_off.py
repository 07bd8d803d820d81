# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Corner cases of policies as they are written, in boots with the word that switches them off, and without."""

from __future__ import annotations

from configuration import DRACUT, INITRAMFS_TOOLS
from corner import BOTH, E1000E, LISTS, MODPROBE, Corner
from policy_generator import NAME, decision_of, files_of
from targets import TARGETS

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.off_word import ARGUMENT
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import PolicyPaths

_NIC = next(target for target in TARGETS if target.address == E1000E)
_CARD = Selector(_NIC.address, address=_NIC.address)
_KIND = Selector(_NIC.id, vendor=_NIC.vendor, device=_NIC.device)
_LIST = PolicyPaths(NAME).early


def _files(strategy: str, selector: Selector = _KIND) -> dict[str, str]:
    return files_of(decision_of(_NIC, strategy, selector, "vfio_pci", "vfio-pci"), _NIC)


def _policy(
    name: str,
    strategy: str,
    cmdline: str = "",
    *,
    flow: str = INITRAMFS_TOOLS,
    modules: tuple[str, ...] = BOTH,
    also: dict[str, str] | None = None,
    image: dict[str, str] | None = None,
    selector: Selector = _KIND,
) -> Corner:
    """A policy in the root, and in its image what the flow's generator copies."""
    root = _files(strategy, selector)
    copied = {path: text for path, text in root.items() if flow == DRACUT or path != _LIST}
    said = ", ".join((f"policy: {strategy}", *([ARGUMENT] if cmdline else [])))
    return Corner(
        f"policy of {strategy}, {name}",
        said,
        also or {},
        root=root,
        image={**copied, **(image or {})},
        cmdline=cmdline,
        flow=flow,
        modules=modules,
    )


CORNERS = (
    *(_policy("switched off", strategy, ARGUMENT) for strategy in ("override", "ids", "blacklist")),
    *(_policy("not switched off", strategy) for strategy in ("override", "ids", "blacklist")),
    *(_policy("switched off in an image of dracut", strategy, ARGUMENT, flow=DRACUT) for strategy in ("override", "ids", "blacklist")),
    _policy("for one of two cards, switched off", "override", ARGUMENT, selector=_CARD),
    _policy("for one of two cards, not switched off", "blacklist", selector=_CARD),
    _policy("switched off with a dash and in the wrong place", "ids", "vfio-variants=off -- quiet"),
    _policy("the word in quotes, which udev takes away and a shell does not", "ids", '"vfio_variants=off"'),
    _policy("two values of the word, the last of which udev takes", "override", f"{ARGUMENT} vfio_variants=on"),
    _policy("two values of the word, any of which a shell takes", "ids", f"{ARGUMENT} vfio_variants=on"),
    _policy("the word of the initramfs alone", "override", f"rd.{ARGUMENT}"),
    _policy(
        "switched off, and its line beside a softdep of another",
        "ids",
        ARGUMENT,
        also={MODPROBE: "softdep vfio-pci pre: pci-stub\n"},
        modules=(*BOTH, "pci_stub"),
    ),
    _policy(
        "switched off, with another `install` line first",
        "ids",
        ARGUMENT,
        also={"/etc/modprobe.d/a.conf": "install vfio-pci modprobe -i vfio-pci\n"},
    ),
    _policy("switched off, without the driver in the image", "ids", ARGUMENT, modules=("e1000e",)),
    _policy("not switched off, without the driver in the image", "ids", modules=("e1000e",)),
    _policy("switched off, loaded before udev in the image", "ids", ARGUMENT, image={"/conf/modules": "vfio-pci\n"}),
    _policy("switched off, with IDs of the command line as well", "ids", f"vfio-pci.ids={_NIC.id} {ARGUMENT}"),
    _policy("switched off, its native blacklisted by another as well", "blacklist", ARGUMENT, also={MODPROBE: "blacklist e1000e\n"}),
    _policy("switched off, its native listed to be loaded", "blacklist", ARGUMENT, also={LISTS: "e1000e\n"}),
    _policy("switched off, its native kept out by the kernel", "blacklist", f"{ARGUMENT} module_blacklist=e1000e"),
)
