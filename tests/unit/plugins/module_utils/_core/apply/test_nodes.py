# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device nodes of claimed devices are handed to whom a claim names: at once, and at each boot by the policy's rules."""

from __future__ import annotations

import os
import shutil
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.accounts import check_accounts
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import parse
from ansible_collections.vfio.variants.plugins.module_utils._core.host.accounts import REFUSING
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.node_access import read_access
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_claim, device_info
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import DEVICES, ModelKernel
from ansible_collections.vfio.variants.tests.unit.policy_hosts import LIMITS, RULES, VARIANT, contents, gpu_host, lines, refused, run
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, NVIDIA_DISPLAY, V100_VARIANT, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

GPU, GROUP_NODE = "0000:3b:00.0", "/dev/vfio/15"
# Only root can give a file to somebody else.
USER, GROUP = (1234, 1235) if os.getuid() == 0 else (os.getuid(), os.getgid())
NODE = {"owner": "guests", "group": "kvm", "mode": "0640"}
HANDED = "hand its device nodes to guests:kvm 0640"
SHOWN = {"path": GROUP_NODE, "owner": "guests", "group": "kvm", "mode": "0640"}


def accounts(tree: Tree, user: int = USER, group: int = GROUP) -> Tree:
    """Accounts to whom this process can give files."""
    return tree.file("/etc/passwd", f"guests:x:{user}:{group}::/:/bin/sh\n").file("/etc/group", f"kvm:x:{group}:guests\n")


class VfioKernel(ModelKernel):
    """It makes the node of a group, and shows it, once a VFIO driver has taken the group's device."""

    def _hold(self, address: str, driver: str) -> None:
        super()._hold(address, driver)
        if driver in (VARIANT, "vfio-pci"):
            self.tree.file(f"{DEVICES}/{address}/vfio-dev/vfio0/uevent", "").file(GROUP_NODE, "", mode=0o600)

    def _unbind(self, driver: str, address: str, timeout: float) -> None:
        super()._unbind(driver, address, timeout)
        shutil.rmtree(self.path(f"{DEVICES}/{address}/vfio-dev"), ignore_errors=True)
        self.tree.place(GROUP_NODE).unlink(missing_ok=True)


@pytest.fixture
def kernel(tmp_path: Path) -> VfioKernel:
    modules = {"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO], VARIANT: [V100_VARIANT]}
    tree = accounts(Tree(tmp_path).kernel(DEBIAN_13, modules, running=True).pci(GPU, driver="nouveau", group=15))
    return VfioKernel(tree, {GPU: "nouveau"}, {"vfio_pci": ["vfio-pci"], VARIANT: [VARIANT], "nouveau": ["nouveau"]})


def claim(kernel: VfioKernel, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return device_claim(kernel, check_mode, **{"devices": GPU, "node": NODE, "timeout": 5, **options})


def test_a_node_is_handed_over_as_soon_as_it_exists(kernel: VfioKernel) -> None:
    (device,) = claim(kernel)["devices"]
    assert device["vfio_nodes"] == [SHOWN]
    assert device["steps"][-1] == HANDED
    access = read_access(kernel, GROUP_NODE)
    assert access is not None
    assert access.mode == 0o640


def test_check_mode_says_the_same_and_does_nothing(kernel: VfioKernel) -> None:
    predicted = claim(kernel, check_mode=True)
    assert not kernel.exists(GROUP_NODE)
    assert claim(kernel)["devices"] == predicted["devices"]


def test_a_second_run_changes_nothing_and_one_that_finds_another_mode_puts_it_right(kernel: VfioKernel) -> None:
    claim(kernel)
    assert not claim(kernel)["changed"]
    os.chmod(kernel.path(GROUP_NODE), 0o600)
    assert claim(kernel, check_mode=True)["devices"][0]["vfio_nodes"] == [SHOWN]
    again = claim(kernel)
    assert again["changed"]
    assert again["devices"][0]["steps"] == [HANDED]
    assert again["devices"][0]["vfio_nodes"] == [SHOWN]


def test_a_claim_that_says_nothing_of_nodes_leaves_them(kernel: VfioKernel) -> None:
    (device,) = claim(kernel, node=None)["devices"]
    assert [node["mode"] for node in device["vfio_nodes"]] == ["0600"]
    assert HANDED not in device["steps"]


def test_a_node_that_does_not_come_undoes_the_binding(kernel: VfioKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.vfio.variants.plugins.module_utils._core.apply.nodes.SETTLE", 0.1)
    real = kernel._hold

    def without_node(address: str, driver: str) -> None:
        real(address, driver)
        kernel.tree.place(GROUP_NODE).unlink(missing_ok=True)

    monkeypatch.setattr(kernel, "_hold", without_node)
    with pytest.raises(HostError, match=f"{GROUP_NODE} does not exist"):
        claim(kernel)
    assert kernel.owner(GPU) == "nouveau"


def test_giving_back_makes_the_node_that_another_device_keeps_roots_again(kernel: VfioKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(kernel)
    given: list[str] = []
    monkeypatch.setattr(
        "ansible_collections.vfio.variants.plugins.module_utils._core.apply.nodes.set_access",
        lambda _host, path, access: given.append(f"{path} {access.user}:{access.group} {access.mode:04o}"),
    )
    monkeypatch.setattr(kernel, "_unbind", lambda driver, address, timeout: ModelKernel._unbind(kernel, driver, address, timeout))
    claim(kernel, state="absent")
    assert given == [f"{GROUP_NODE} 0:0 0600"]


def test_an_account_that_does_not_exist_is_refused_before_anything_is_touched(kernel: VfioKernel) -> None:
    with pytest.raises(HostError, match=r"node\.owner: /etc/passwd has no user nobody-here"):
        claim(kernel, node={"owner": "nobody-here"})
    assert kernel.log == []


def test_both_info_modules_tell_the_nodes_with_their_owners(kernel: VfioKernel) -> None:
    claim(kernel)
    assert [device["vfio_nodes"] for device in device_info(kernel, devices=GPU)["devices"]] == [[SHOWN]]
    assert [device["vfio_nodes"] for device in claim_info(kernel, devices=GPU)["devices"]] == [[SHOWN]]


# -- at each boot


def test_rules_find_the_node_of_the_group_by_the_card_in_it_and_the_cards_own_by_its_parent(tmp_path: Path) -> None:
    tree = accounts(gpu_host(tmp_path))
    run(tree, {"devices": GPU, "node": NODE})
    gives = 'OWNER="guests", GROUP="kvm", MODE="0640"'
    its = f"[pci/{GPU}]"
    keys = f'ATTR{{{its}vendor}}=="0x10de", ATTR{{{its}device}}=="0x1db1"'
    parents = 'ATTRS{vendor}=="0x10de", ATTRS{device}=="0x1db1"'
    assert [line for line in lines(tree, RULES) if "OWNER" in line] == [
        f'ACTION=="add|change", SUBSYSTEM=="vfio", TEST=="/sys/kernel/iommu_groups/%k/devices/{GPU}", {keys}, {gives}',
        f'ACTION=="add|change", SUBSYSTEM=="vfio-dev", KERNELS=="{GPU}", SUBSYSTEMS=="pci", {parents}, {gives}',
    ]
    assert lines(tree, RULES)[0] == 'SUBSYSTEM!="pci|vfio|vfio-dev", GOTO="vfio_variants_end"'


def test_the_forecast_is_as_certain_with_these_rules_as_without(tmp_path: Path) -> None:
    tree = accounts(gpu_host(tmp_path))
    result = run(tree, {"devices": GPU, "node": {**NODE, "memlock": "64G"}}, require_certain=True)
    assert result["warnings"] == run(accounts(gpu_host(tmp_path / "other")), {"devices": GPU})["warnings"]
    checked = claim_info(tree.host(), devices=GPU, kernels=["all"])
    assert [(device["will_be_satisfied"], device["warnings"]) for device in checked["devices"]] == [(True, [])]


def test_claims_without_nodes_have_the_rules_that_they_had(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path)
    run(tree, {"devices": GPU})
    assert lines(tree, RULES)[0] == 'SUBSYSTEM!="pci", GOTO="vfio_variants_end"'
    assert not tree.place(LIMITS).exists()


def test_a_strategy_without_rules_has_those_of_its_nodes(tmp_path: Path) -> None:
    tree = accounts(gpu_host(tmp_path))
    run(tree, {"devices": "8086:10d3", "driver": "vfio-pci", "strategy": "ids", "node": NODE})
    assert [line.split(", ")[1] for line in lines(tree, RULES) if "MODE" in line] == ['SUBSYSTEM=="vfio"', 'SUBSYSTEM=="vfio-dev"']


def test_a_claim_by_id_hands_over_the_nodes_of_single_cards_wherever_they_are(tmp_path: Path) -> None:
    tree = accounts(gpu_host(tmp_path))
    run(tree, {"devices": "10de:1db1", "node": NODE})
    own = [line for line in lines(tree, RULES) if 'SUBSYSTEM=="vfio-dev"' in line]
    assert len(own) == 1
    assert "KERNELS" not in own[0]


def test_a_limit_on_locked_memory_is_written_for_the_account_and_removal_leaves_nothing(tmp_path: Path) -> None:
    tree = accounts(gpu_host(tmp_path))
    before = contents(tree)
    claims = [
        {"devices": GPU, "node": {**NODE, "memlock": "64G"}},
        {"devices": "0000:5e:00.0", "node": {"group": "kvm", "memlock": "unlimited"}},
    ]
    run(tree, *claims)
    assert lines(tree, LIMITS) == ["@kvm - memlock unlimited", f"guests - memlock {64 << 20}"]
    assert not run(tree, *claims)["changed"]
    run(tree, state="absent")
    assert contents(tree) == before


@pytest.mark.parametrize(
    ("version", "number", "is_refused"), [(257, 1000, False), (258, 999, False), (258, 1000, True), (260, 1000, False)]
)
def test_udev_of_two_versions_hands_nodes_to_system_accounts_only(tmp_path: Path, version: int, number: int, is_refused: bool) -> None:
    """systemd 258 drops such a line (systemd/systemd#36123), 260 takes it again (#40612)."""
    tree = accounts(gpu_host(tmp_path), number).file(f"/usr/lib/systemd/libsystemd-shared-{version}.so", "")
    claims = parse([{"devices": GPU, "node": {"owner": "guests"}}])
    assert set(REFUSING) == {258, 259}
    if not is_refused:
        check_accounts(tree.host(), claims)
        return
    with pytest.raises(HostError, match=rf"claims\[0\]\.node\.owner: guests has the number {number}, and the udev of systemd {version}"):
        check_accounts(tree.host(), claims)


def test_an_account_of_no_file_is_refused_before_the_policy_is_written(tmp_path: Path) -> None:
    assert refused(accounts(gpu_host(tmp_path)), {"devices": GPU, "node": {"group": "ldap-users"}}).startswith(
        "claims[0].node.group: /etc/group"
    )


# -- a node that the claim does not mention any more


def handed(root: Path, monkeypatch: pytest.MonkeyPatch, mode: int = 0o640) -> tuple[Tree, list[str]]:
    """A card whose node the policy has handed over, and what is given to whom from now on."""
    tree = accounts(gpu_host(root))
    run(tree, {"devices": GPU, "node": NODE})
    tree.pci(GPU, driver=VARIANT, group=15).file(GROUP_NODE, "", mode=mode)
    os.chown(tree.place(GROUP_NODE), USER, GROUP)
    given: list[str] = []
    monkeypatch.setattr(
        "ansible_collections.vfio.variants.plugins.module_utils._core.apply.dropped_nodes.set_access",
        lambda _host, path, access: given.append(f"{path} {access.user}:{access.group} {access.mode:04o}"),
    )
    return tree, given


@pytest.mark.parametrize("options", [{"claims": ({"devices": GPU},)}, {"claims": (), "state": "absent"}])
def test_a_node_that_the_new_rules_hand_to_nobody_is_roots_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, t.Any]
) -> None:
    tree, given = handed(tmp_path, monkeypatch)
    claims = options.pop("claims")
    run(tree, *claims, check=True, **options)
    assert given == []
    run(tree, *claims, **options)
    assert given == [f"{GROUP_NODE} 0:0 0600"]


def test_a_node_that_somebody_else_has_given_away_since_stays_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, given = handed(tmp_path, monkeypatch, mode=0o666)
    run(tree, {"devices": GPU})
    assert given == []


def test_a_node_that_another_card_of_the_group_still_hands_over_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, given = handed(tmp_path, monkeypatch)
    tree.pci("0000:5e:00.0", driver=VARIANT, group=15)
    run(tree, {"devices": [GPU, "0000:5e:00.0"], "node": NODE})
    run(tree, {"devices": "0000:5e:00.0", "node": NODE}, group="ignore")
    assert given == []


def test_a_node_that_cannot_be_taken_back_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree, _given = handed(tmp_path, monkeypatch)

    def refuses(*_arguments: object) -> None:
        raise HostError("it is read-only.")

    monkeypatch.setattr("ansible_collections.vfio.variants.plugins.module_utils._core.apply.dropped_nodes.set_access", refuses)
    warnings = run(tree, {"devices": GPU})["warnings"]
    assert f"{GROUP_NODE} could not be taken back from guests:kvm 0640: it is read-only." in warnings
