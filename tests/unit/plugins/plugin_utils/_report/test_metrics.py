# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of a report, as Prometheus' own client for Python reads them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import HostData
from ansible_collections.vfio.variants.plugins.plugin_utils._report.metrics import metrics
from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import ClaimedDevice, Summary, not_examined, summarise
from ansible_collections.vfio.variants.tests.unit.policy_hosts import VARIANT
from ansible_collections.vfio.variants.tests.unit.report_hosts import SECOND_GPU, WHEN, examined, gpu_host

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    """All samples by their name and labels, which must differ."""
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples)
    return found


def labels(**given: str) -> frozenset[tuple[str, str]]:
    return frozenset(given.items())


def test_a_claim_of_the_hosts_own_policy_has_a_sample_for_now_and_for_the_next_boot(tmp_path: Path) -> None:
    found = read(metrics([summarise(examined(gpu_host(tmp_path)))]))
    claim = labels(host="gpu-1", address=SECOND_GPU, id="10de:1db1", claimed=VARIANT, driver="nouveau")
    assert found["vfio_claim_satisfied", claim] == 0
    assert found["vfio_claim_will_be_satisfied", claim] == 0
    assert found["vfio_host_examined_timestamp_seconds", labels(host="gpu-1")] == WHEN
    assert found["vfio_host_state", labels(host="gpu-1", state="not as claimed")] == 1
    assert sum(value for (name, _labels), value in found.items() if name == "vfio_host_state") == 1


def test_claims_that_are_given_are_judged_by_claim_info(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path)
    found = read(metrics([summarise(examined(tree, claims=[{"devices": SECOND_GPU, "driver": "nouveau"}]))]))
    claims = {dict(names)["address"]: value for (name, names), value in found.items() if name == "vfio_claim_satisfied"}
    assert claims == {SECOND_GPU: 1.0}


def test_drivers_of_another_version_than_is_installed_are_counted_and_survive_a_fleets_file() -> None:
    data = HostData("gpu-1", WHEN, old_in_use=("nvlink2gpu_vfio_pci", "npu2_vfio_pci"))
    kept = Summary.from_plain(summarise(data).plain())
    assert read(metrics([kept]))["vfio_host_old_drivers", labels(host="gpu-1")] == 2


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", 'a\\"\n{}', "é→\U0001f600", "\udcff", ""])
def test_any_text_is_a_label(text: str) -> None:
    claim = ClaimedDevice("0000:01:00.0", "10de:1db1", text, None, True, None)
    found = read(metrics([Summary(text, "steady", claims=(claim,))]))
    (names,) = (dict(names) for name, names in found if name == "vfio_claim_satisfied")
    assert names["claimed"] == text.replace("\udcff", "?")


def test_a_claim_that_cannot_be_judged_has_no_sample() -> None:
    claim = ClaimedDevice("0000:01:00.0", "10de:1db1", "vfio-pci", None, None, True)
    found = read(metrics([Summary("image", "steady", claims=(claim,))]))
    assert [name for name, _labels in found if name.startswith("vfio_claim")] == ["vfio_claim_will_be_satisfied"]


def test_hosts_that_were_not_examined_have_their_state_alone() -> None:
    found = read(metrics([not_examined("gpu-1", "It could not be reached.")]))
    assert {name for name, _labels in found} == {"vfio_host_state"}


def test_samples_stay_distinct_whatever_hosts_return() -> None:
    claim = ClaimedDevice("0000:01:00.0", "10de:1db1", "vfio-pci", None, True, True)
    one = Summary("gpu-1", "steady", claims=(claim, claim))
    read(metrics([one, dataclasses.replace(one, devices=7)]))
