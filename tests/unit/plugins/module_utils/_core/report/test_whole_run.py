# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole request is judged, done, checked and recorded in one go, with what its parts alone return."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.apply import bind, boot_policy, image_sync
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import SentSources
from ansible_collections.vfio.variants.plugins.module_utils._core.host import unchanged
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.unchanged import recall
from ansible_collections.vfio.variants.tests.unit.converged_hosts import CARD, DRIVER, KEY, OTHER_CARD, request
from ansible_collections.vfio.variants.tests.unit.first_run_hosts import FirstRunHost
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.report.test_whole_host import DRIFTS, same_size
from ansible_collections.vfio.variants.tests.unit.policy_hosts import RULES, VARIANT
from ansible_collections.vfio.variants.tests.unit.rooms import ROOT
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_request import WholeRequest
    from ansible_collections.vfio.variants.tests.unit.trees import Tree

REPORT = ("policy", "kernels", "devices", "reboot_required", "changed", "diff", "warnings", "recovered")


@pytest.fixture(autouse=True)
def _own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged, "CACHE_DIRECTORY", str(tmp_path / "records"))


@pytest.fixture
def host(tmp_path: Path) -> FirstRunHost:
    return FirstRunHost(tmp_path)


def packaged(host: FirstRunHost) -> str:
    """A script of a package, which runs at each boot; only its content says whether it is the package's."""
    script = "/usr/sbin/site-setup"
    host.tree.file(script, "#!/bin/sh\nexit 0\n", mode=0o755)
    unit = "/etc/systemd/system/site.service"
    host.tree.file(unit, f"[Service]\nExecStart={script}\n").link("/etc/systemd/system/multi-user.target.wants/site.service", unit)
    digest = hashlib.md5(host.tree.place(script).read_bytes(), usedforsecurity=False).hexdigest()
    host.tree.file("/var/lib/dpkg/info/site.md5sums", f"{digest}  usr/sbin/site-setup\n")
    return script


# nouveau is registered on this host from the beginning.
@pytest.mark.sampled(4)
@pytest.mark.parametrize("drift", [drift for name, drift in DRIFTS.items() if name != "a driver is registered"])
def test_nothing_that_drifts_goes_unnoticed_though_much_was_read_before(host: FirstRunHost, drift: t.Callable[[Tree], object]) -> None:
    assert host.run_role()["recorded"]
    assert recall(host.tree.host(), KEY).outcome is not None
    drift(host.tree)
    assert recall(host.tree.host(), KEY).outcome is None


def test_a_script_of_a_package_that_is_edited_is_noticed(host: FirstRunHost) -> None:
    script = packaged(host)
    assert host.run_role()["recorded"]
    assert recall(host.tree.host(), KEY).outcome is not None
    same_size(host.tree, script)
    assert recall(host.tree.host(), KEY).because == f"{script} is not as it was."


def absent(**options: t.Any) -> WholeRequest:
    return dataclasses.replace(request(**options), state="absent")


def test_a_first_run_does_everything_and_leaves_a_record(host: FirstRunHost) -> None:
    result = host.run_role()
    assert (result["changed"], result["reboot_required"]) == (True, False)
    assert [host.owner(address) for address in (CARD, OTHER_CARD)] == [DRIVER, DRIVER]
    assert {release: found["rebuilt"] for release, found in result["kernels"].items()} == {DEBIAN_13: True, DEBIAN_12: True}
    assert result["policy"]["modules"] == [VARIANT]
    assert [one["will_be_satisfied"] for one in result["winners"]] == [True, True]
    assert (result["recorded"], result["because"]) == (True, "")
    outcome = recall(host.tree.host(), KEY).outcome
    assert outcome is not None
    assert outcome["report"]["policy"] == result["policy"]


def test_check_mode_predicts_what_the_run_does_and_writes_nothing(host: FirstRunHost) -> None:
    before = host.files
    predicted = host.run_role(check_mode=True)
    assert (host.files, host.log, predicted["recorded"]) == (before, [], False)
    assert predicted["because"] == "In check mode no record is left.", "so that the role does not seek to leave one"
    done = host.run_role()
    for device in (*predicted["devices"], *done["devices"]):
        # The model of the kernel makes none.
        del device["vfio_nodes"]
    assert {name: predicted[name] for name in REPORT} == {name: done[name] for name in REPORT}


def test_a_second_run_changes_nothing(host: FirstRunHost) -> None:
    host.run_role()
    host.log.clear()
    before = host.files
    again = host.run_role()
    assert (again["changed"], again["diff"], again["recorded"], host.log) == (False, [], True, [])
    assert host.files == before


def test_it_returns_what_the_modules_return_one_after_the_other(tmp_path: Path, host: FirstRunHost) -> None:
    other, wanted = FirstRunHost(tmp_path / "other"), request()
    policy = boot_policy.apply(other, wanted.of_policy(), check_mode=False)
    images = image_sync.sync_images(other, wanted.of_images(policy["policy"]), check_mode=False).result()
    devices = bind.ensure(other, wanted.of_binding(), check_mode=False).result()
    result = host.run_role()
    assert (result["policy"], result["kernels"], result["devices"]) == (policy["policy"], images["kernels"], devices["devices"])
    assert result["diff"] == [*policy["diff"], *images["diff"], devices["diff"]]


def test_a_device_that_is_in_use_is_refused_before_anything_is_written(host: FirstRunHost) -> None:
    host.tree.file(f"/sys/bus/pci/devices/{CARD}/drm/card0/uevent", "MAJOR=226\nMINOR=0\nDEVNAME=dri/card0\n")
    host.tree.link("/proc/4711/fd/7", "/dev/dri/card0").file("/proc/4711/comm", "Xorg\n")
    before = host.files
    with pytest.raises(HostError) as refused:
        host.run_role()
    assert (refused.value.facts["step"], refused.value.facts["done"]) == ("boot_policy", [])
    assert CARD in str(refused.value)
    assert (host.files, host.log) == (before, [])


def test_what_the_request_itself_has_wrong_comes_before_what_the_host_lacks(host: FirstRunHost) -> None:
    for release in (DEBIAN_13, DEBIAN_12):
        host.tree.place(f"/lib/modules/{release}/modules.dep").unlink()
    for state in ("present", "absent"):
        wanted = dataclasses.replace(with_package(), claims=({"devices": 180.1},), state=state)
        with pytest.raises(HostError, match="YAML reads an unquoted address as a number"):
            host.run_role(wanted, waits_for_drivers=True)


def test_what_fails_is_named_with_what_was_done_before(host: FirstRunHost) -> None:
    host.tree.place(f"/to-build-{DEBIAN_12}").unlink()
    with pytest.raises(HostError) as failed:
        host.run_role()
    assert (failed.value.facts["step"], failed.value.facts["done"]) == ("initramfs", ["boot_policy"])
    assert "no disk" in failed.value.msg
    assert str(failed.value).endswith("Before initramfs, boot_policy had been done, which stays.")
    assert host.tree.place(RULES).exists()
    assert host.owner(CARD) == "nouveau"
    assert recall(host.tree.host(), KEY).outcome is None


def test_a_next_boot_that_is_not_certain_fails_after_everything_is_done(host: FirstRunHost) -> None:
    # Somebody switches policies off while the images are built.
    menu, program = host.tree.place("/boot/grub/grub.cfg"), host.tree.place("/usr/sbin/mkinitramfs")
    program.write_text(program.read_text().replace("exec", f"sed -i 's/ ro quiet/ ro vfio_variants=off quiet/' {menu}\nexec"))
    with pytest.raises(HostError) as failed:
        host.run_role()
    assert (failed.value.facts["step"], failed.value.facts["done"]) == ("claim_info", ["boot_policy", "initramfs", "device_claim"])
    assert "vfio_variants=off" in str(failed.value)
    assert recall(host.tree.host(), KEY).outcome is None


def test_the_next_boot_is_not_checked_where_that_is_left_out(host: FirstRunHost) -> None:
    assert host.run_role(skip=frozenset({"winner"}))["winners"] == []


def test_devices_that_are_not_bound_now_wait_for_the_next_boot(host: FirstRunHost) -> None:
    result = host.run_role(request(live=False))
    assert (result["reboot_required"], result["recorded"]) == (True, False)
    assert [(one["address"], one["driver"], one["satisfied"]) for one in result["devices"]] == [
        (CARD, "nouveau", False),
        (OTHER_CARD, "nouveau", False),
    ]
    assert host.owner(CARD) == "nouveau"
    assert [one["will_be_satisfied"] for one in result["winners"]] == [True, True]


def with_package(**options: t.Any) -> WholeRequest:
    folder = ROOT / "files/kernel/vfio-variants"
    conf, manifest = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("dkms.conf", "modules.json"))
    return dataclasses.replace(request(**options), packages=(SentSources("vfio-variants", "d" * 64, conf, manifest),))


def test_a_run_that_waits_for_drivers_judges_the_claims_as_if_they_were_there(host: FirstRunHost) -> None:
    before = host.files
    result = host.run_role(with_package(), waits_for_drivers=True)
    assert (result["waits_for_drivers"], result["drivers"]["changed"], result["changed"]) == (True, True, False)
    assert VARIANT in [module["name"] for module in result["drivers"]["modules"]]
    assert (host.files, host.log) == (before, [])


@pytest.mark.parametrize("references", ["0", "1"])
@pytest.mark.parametrize("live", [True, False])
def test_check_mode_predicts_that_a_loaded_driver_is_exchanged_for_one_that_is_still_to_be_built(
    host: FirstRunHost, references: str, live: bool
) -> None:
    host.run_role()
    host.tree.file(f"/sys/module/{VARIANT}/srcversion", "OLD\n").file(f"/sys/module/{VARIANT}/refcnt", f"{references}\n")
    result = host.run_role(with_package(live=live), check_mode=True)
    is_exchanged = live and references == "0"
    assert result["reboot_required"] is not is_exchanged
    assert [f"load {VARIANT} again" in one.get("steps", ()) for one in result["devices"]] == [is_exchanged, is_exchanged]
    # Once, by the part that says what becomes of it.
    said = [warning for warning in result["warnings"] if f"another version of {VARIANT}" in warning]
    assert [("not loaded again now, as it is in use" in warning) for warning in said] == ([] if is_exchanged else [live])


def test_drivers_that_are_left_out_are_not_waited_for(host: FirstRunHost) -> None:
    result = host.run_role(with_package(), waits_for_drivers=True, skip=frozenset({"drivers"}))
    assert (result["waits_for_drivers"], result["changed"]) == (False, True)
    assert not result["recorded"]


def test_everything_is_given_back(host: FirstRunHost) -> None:
    before = host.files
    host.run_role()
    host.will_build_what_is_there()
    predicted = host.run_role(absent(), check_mode=True)
    result = host.run_role(absent())
    assert [host.owner(address) for address in (CARD, OTHER_CARD)] == ["nouveau", "nouveau"]
    assert {path: content for path, content in host.files.items() if "/etc/" in path} == {
        path: content for path, content in before.items() if "/etc/" in path
    }
    assert {name: predicted[name] for name in ("policy", "kernels", "changed", "diff")} == {
        name: result[name] for name in ("policy", "kernels", "changed", "diff")
    }
    assert result["recorded"]
    assert not host.run_role(absent())["changed"]


def test_a_card_that_cannot_be_returned_keeps_its_policy(host: FirstRunHost) -> None:
    host.run_role()
    host.will_build_what_is_there()
    host.hanging.add(DRIVER)
    with pytest.raises(HostError) as failed:
        host.run_role(absent())
    assert (failed.value.facts["step"], failed.value.facts["done"]) == ("device_claim", ["boot_policy", "initramfs"])


def test_a_run_says_which_part_it_begins_with_and_which_device_is_done(host: FirstRunHost) -> None:
    said: list[str] = []
    host.run_role(check_mode=True, tell=said.append)
    assert said == []
    host.run_role(tell=said.append)
    bound = [f"bound {address} to {DRIVER}, {number} of 2" for number, address in enumerate((CARD, OTHER_CARD), 1)]
    assert said == [*(f"begins with {part}" for part in ("boot_policy", "initramfs", "device_claim")), *bound]
