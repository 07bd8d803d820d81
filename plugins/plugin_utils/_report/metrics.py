# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same data in Prometheus' text format, for the textfile collector of node_exporter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import STATES, ClaimedDevice, Summary

Sample = tuple[Mapping[str, str], float]


def metrics(summaries: Sequence[Summary]) -> str:
    """Every family once, with the samples of all hosts. Of hosts with one name the last counts: samples must differ in their labels."""
    hosts = list({found.name: found for found in summaries}.values())
    examined = [found for found in hosts if found.state != "not examined"]
    lines: list[str] = []
    for name, about, samples in _families(hosts, examined):
        lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge"]
        lines += [
            f"{name}{{{_labels(labels)}}} {value:g}" if value < 1e6 else f"{name}{{{_labels(labels)}}} {value:.0f}"
            for labels, value in samples
        ]
    return "\n".join(lines) + "\n"


def _families(hosts: Sequence[Summary], examined: Sequence[Summary]) -> Iterator[tuple[str, str, list[Sample]]]:
    yield (
        "vfio_claim_satisfied",
        "Whether a claimed device is bound as claimed now.",
        [(_claim(host, claim), float(claim.satisfied)) for host, claim in _claims(examined) if claim.satisfied is not None],
    )
    yield (
        "vfio_claim_will_be_satisfied",
        "Whether a claimed device is certain to be bound as claimed after the next boot.",
        [(_claim(host, claim), float(claim.will_be_satisfied)) for host, claim in _claims(examined) if claim.will_be_satisfied is not None],
    )
    yield (
        "vfio_host_state",
        "The state of a host: 1 for the one that it has.",
        [({"host": host.name, "state": state}, float(host.state == state)) for host in hosts for state in STATES],
    )
    for name, about, field in (
        ("vfio_host_devices", "PCI functions but for bridges.", "devices"),
        ("vfio_host_devices_changing", "Devices that are certain to have another driver after the next boot than now.", "changing"),
        ("vfio_host_devices_uncertain", "Devices whose driver after the next boot is a race or cannot be determined.", "uncertain"),
        ("vfio_host_warnings", "Contradictions and lines without effect in the host's policy.", "warnings"),
        ("vfio_host_old_drivers", "VFIO drivers of which another version is loaded than is installed.", "old_in_use"),
        ("vfio_host_examined_timestamp_seconds", "When the host was examined.", "examined_at"),
    ):
        yield name, about, [({"host": host.name}, float(getattr(host, field))) for host in examined]
    yield (
        "vfio_host_kernel_info",
        "The running kernel, and the one that boots next.",
        [({"host": host.name, "running": host.running or "", "next": host.next_release or ""}, 1.0) for host in examined],
    )


def _claims(hosts: Sequence[Summary]) -> Iterator[tuple[Summary, ClaimedDevice]]:
    for host in hosts:
        yield from ((host, claim) for claim in {claim.address: claim for claim in host.claims}.values())


def _claim(host: Summary, claim: ClaimedDevice) -> dict[str, str]:
    return {
        "host": host.name,
        "address": claim.address,
        "id": claim.id,
        "claimed": claim.claimed or "",
        "driver": claim.driver or "",
    }


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    r"""As the format has it: only \, " and the line feed are special. Bytes that were no UTF-8 are shown as a question mark."""
    clean = value.encode("utf-8", "replace").decode("utf-8")
    return clean.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
