# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of options for every module, drawn from what is right, what is nearly right and what no one means; in check mode on a host."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.boot_policy import apply
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_sync import sync_images
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.iommu import apply as apply_iommu
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.kernel_cmdline import apply as apply_cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.steps import run as run_dkms
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.option_types import refuse_wrong
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.module_utils._core.host.usable_options import refuse_unusable
from ansible_collections.vfio.variants.plugins.module_utils._core.report.claim_check import compare
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_facts import gather
from ansible_collections.vfio.variants.plugins.modules import (
    boot_policy,
    claim_info,
    device_claim,
    device_info,
    device_table,
    dkms_package,
    initramfs,
    iommu,
    kernel_cmdline,
    test_image,
    test_vm,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.options import ImageOptions
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.options import MachineOptions
from ansible_collections.vfio.variants.plugins.plugin_utils.device_table import table
from ansible_collections.vfio.variants.tests.fuzz import base_host
from ansible_collections.vfio.variants.tests.fuzz.progress import Count
from ansible_collections.vfio.variants.tests.fuzz.target import LONGEST_MESSAGE, SECONDS, TooLongMessageError
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, modalias

Options = dict[str, t.Any]
Spec = t.Mapping[str, t.Mapping[str, t.Any]]
Draw = random.Random


class Called(t.NamedTuple):
    """A module: its arguments, and what it does with options that Ansible accepts, in check mode."""

    spec: Spec
    work: t.Callable[[Options], object]


def _host() -> t.Any:
    root = base_host.tree().root
    return base_host.tree().host(Commands(root))


def _rooted(options: Options) -> t.Any:
    # The module's own host has this root; any other is below the one that is laid out for this.
    path = str(base_host.tree().root) + ("" if options["root"] == "/" else f"/{options['root']}")
    return type(_host())(path, Commands(base_host.tree().root))


def _test_image(options: Options) -> object:
    checked_timeout(options["timeout"])
    return ImageOptions.from_mapping(options, options["mirror"] or "https://mirror.example")


def _test_vm(options: Options) -> object:
    checked_timeout(options["timeout"])
    return MachineOptions.from_mapping(options, "/image").to_json()


MODULES: t.Mapping[str, Called] = {
    "boot_policy": Called(boot_policy.ARGUMENTS, lambda options: apply(_host(), boot_policy.request(options), True)),
    "claim_info": Called(claim_info.ARGUMENTS, lambda options: compare(_rooted(options), claim_info.request(options), True).result()),
    "device_claim": Called(device_claim.ARGUMENTS, lambda options: device_claim.bound(_host(), device_claim.request(options), True)),
    "device_info": Called(device_info.ARGUMENTS, lambda options: gather(_rooted(options), device_info.request(options), True)),
    "device_table": Called(device_table.ARGUMENTS, lambda options: table(options["answers"], options["everything"])),
    "dkms_package": Called(dkms_package.ARGUMENTS, lambda options: run_dkms(_host(), dkms_package.request(options), True).result()),
    "initramfs": Called(initramfs.ARGUMENTS, lambda options: sync_images(_host(), initramfs.request(options), True).result()),
    "iommu": Called(iommu.ARGUMENTS, lambda options: apply_iommu(_host(), iommu.request(options), True)),
    "kernel_cmdline": Called(
        kernel_cmdline.ARGUMENTS, lambda options: apply_cmdline(_rooted(options), kernel_cmdline.request(options), True)
    ),
    "test_image": Called(test_image.argument_spec(), _test_image),
    "test_vm": Called(test_vm.argument_spec(), _test_vm),
}
USUAL: t.Sequence[t.Any] = (
    "10de:1db1", "10de:*", "0000:3b:00.0", "3b:00.0", "class:0302", "vfio-pci", "auto", "nvlink2gpu_vfio_pci", "all", "running",
    "next", DEBIAN_13,
    "present", "absent", "/", "x", 60, 1, True, False, None, "8G", "ignore", {"in_use": "ignore"}, {"vendor": "10de", "device": "1db1"},
    {"devices": "10de:1db1"}, {"modalias": modalias("10de:1db1")}, {"name": "gpu_vfio_pci", "aliases": ["pci:v1"]},
    {"files": {"/etc/x": None}},
)  # fmt: skip
BAD: t.Sequence[t.Any] = (
    "", " ", "\0", "a\0b", "a\nb", "\n", "\r", "\x1b[31m", "\ud800", "\u202e", "é", "../../etc", "/etc/../..", "-x", "--", "$(id)",
    "`id`", "%s%n",
    "{{ x }}", "'", '"', "\\", "*", "[", "[[[", "[!", "[]-a]", "0000:3b:00", "10de:1db", "10de:1db1:", ":" * 50, "," * 5000, "x" * 5000,
    "x" * 70_000,
    "1" * 5000, "0x" + "f" * 500, "inf", "nan", "1e999", float("inf"), float("-inf"), float("nan"), 1e308, -1, 0, 2**31, 2**63, 2**64,
    -(2**63),
    10**400, 10**4000, 180.1, 0.1, [], {}, [[]], [{}], {"": ""}, {"a": {"b": {"c": []}}}, {1: 2}, {None: None}, ["10de:*"] * 9000,
    [{"devices": "10de:*"}] * 300, {str(number): number for number in range(9000)}, ["x"] * 500, [None], [True], {"vendor": 10},
    [{"modalias": modalias("10de:1db1")}] * 9000, [{"modalias": modalias("10de:1db1")}] * 500, {"address": "[" * 300},
)  # fmt: skip
DEEP = 500


def run(count: Count, seed: int, say: t.Callable[[str], None]) -> int:
    """How many sets are answered by neither a result nor one sentence; each is shown."""
    for number in count.left():
        draw = random.Random(f"{seed}-{number}")  # noqa: S311 - drawn again in the same way
        name = draw.choice(list(MODULES))
        options = drawn(MODULES[name].spec, draw)
        wrong = answer(name, options)
        if wrong is not None:
            count.faults += 1
            say(f"FAILED options {seed}-{number}: {name}: {wrong}\n  {repr(options)[:600]}")
        if count.after(number) and number % 1000 == 999:
            say(f"{number + 1} sets of options, {count.faults} answered wrongly")
    return count.faults


def drawn(spec: Spec, draw: Draw) -> Options:
    """Options by their names; of most sets, one value or two are bad."""
    wanted = {name for name, option in spec.items() if option.get("required") or draw.random() < 0.4}
    bad = set(draw.sample(sorted(spec), draw.randint(0, min(2, len(spec)))))
    return {name: _bad(spec[name], draw) if name in bad else _value(spec[name], draw) for name in sorted(wanted | bad)}


def _value(option: t.Mapping[str, t.Any], draw: Draw) -> t.Any:
    if "options" in option:
        one = drawn(option["options"], draw)
        return [one] * draw.randint(1, 3) if option["type"] == "list" else one
    if "choices" in option and draw.random() < 0.9:
        return draw.choice(option["choices"])
    kind = {"str": str, "path": str, "int": int, "bool": bool, "dict": dict}.get(option.get("elements") or option["type"])
    fitting = [value for value in USUAL if kind is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool)))]
    value = draw.choice(fitting)
    return [value] if option["type"] == "list" else value


def _bad(option: t.Mapping[str, t.Any], draw: Draw) -> t.Any:
    value = draw.choice(BAD)
    if draw.random() < 0.02:
        for _level in range(DEEP):
            value = [value]
    if "options" in option and draw.random() < 0.7:
        inside = drawn(option["options"], draw)
        inside[draw.choice(sorted(option["options"]))] = value
        value = inside
    return [value] if option["type"] == "list" and draw.random() < 0.8 else value


def answer(name: str, options: Options) -> str | None:
    """What is wrong with a module's answer; None if it is a result or one sentence."""
    called = MODULES[name]
    try:
        with limited(SECONDS):
            given = json.loads(json.dumps(options, skipkeys=True))
            refuse_wrong(given, called.spec)
            validated = ArgumentSpecValidator(called.spec).validate(given)
            if not validated.error_messages:
                refuse_unusable(validated.validated_parameters)
                called.work(validated.validated_parameters)
    except HostError as error:
        return None if len(str(error)) <= LONGEST_MESSAGE else f"{TooLongMessageError.__name__}: {str(error)[:200]}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None


@contextlib.contextmanager
def limited(seconds: float) -> t.Iterator[None]:
    """Raises TimeoutError after so much of the processor's time."""

    def late(_number: int, _frame: object) -> t.NoReturn:
        raise TimeoutError(f"more than {seconds} s of processor time")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
