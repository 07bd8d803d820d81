# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of dkms_package that people mistype, and packages in odd states: one clear sentence, and check mode says the same."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import steps
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.modules import dkms_package
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.dkms.model_dkms import ModelDkms, two_kernels
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12, DEBIAN_13

Arrange = t.Callable[[ModelDkms], object]
Result = dict[str, t.Any]
CONF = "PACKAGE_NAME=gpu\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME[0]=gpu_vfio_pci\nDEST_MODULE_LOCATION[0]=/updates/dkms\nAUTOINSTALL=yes\n"
ALIAS = "vfio_pci:v000010DEd00001DB1sv*sd*bc*sc*i*"
SOURCE: Result = {"source": "/opt/gpu", "remote_src": True}
CHARACTERS = "; letters, digits and . _ + ~ - are allowed, the first a letter, a digit or _."
INSTALLED = f"Allowed are all, running, and the installed {DEBIAN_12}, {DEBIAN_13}."
VARIANT = "cannot be a variant's name, which is that of its module without the ending _vfio_pci."


def run(dkms: ModelDkms, check_mode: bool = False, **given: t.Any) -> Result:
    request = dkms_package.request(options_of(dkms_package.ARGUMENTS, **given))
    return steps.run(dkms.host, request, check_mode).result()


def with_source(conf: str = CONF, place: str = "/opt/gpu") -> Arrange:
    return lambda dkms: dkms.tree.file(f"{place}/dkms.conf", conf).file(f"{place}/gpu_vfio_pci.c", f"{ALIAS}\n")


def installed(dkms: ModelDkms) -> Result:
    with_source()(dkms)
    return run(dkms, **SOURCE)


def gone(dkms: ModelDkms, *places: str) -> tuple[str, ...]:
    for path in map(dkms.tree.place, places):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return places


def without(*places: str) -> Arrange:
    """The installed package, of which folders or files are gone."""

    def arrange(dkms: ModelDkms) -> None:
        installed(dkms)
        gone(dkms, *places)

    return arrange


REFUSED: dict[str, tuple[Arrange, Result, str]] = {
    "an empty name": (with_source(), {"name": "", "version": "1"}, f"name is ''{CHARACTERS}"),
    "a name like an option": (with_source(), {"name": "-m", "version": "1"}, f"name is '-m'{CHARACTERS}"),
    "a name of two lines": (with_source(), {"name": "a\nb", "version": "1"}, rf"name is 'a\nb'{CHARACTERS}"),
    "a name with an accent": (with_source(), {"name": "gpü", "version": "1"}, f"name is 'gpü'{CHARACTERS}"),
    "an empty version": (with_source(), {**SOURCE, "version": ""}, f"version is ''{CHARACTERS}"),
    "a version with a slash": (with_source(), {**SOURCE, "version": "1/0"}, f"version is '1/0'{CHARACTERS}"),
    "a long version": (
        with_source(),
        {**SOURCE, "version": "1" * 121},
        f"version is '{'1' * 121}'; at most 120 characters are allowed.",
    ),
    "no version in dkms.conf": (
        with_source(CONF.replace("PACKAGE_VERSION=1.0\n", "")),
        SOURCE,
        "/opt/gpu/dkms.conf has no PACKAGE_VERSION, without which DKMS refuses it. Write it there, as dkms(8) says.",
    ),
    "an empty dkms.conf": (
        with_source(""),
        SOURCE,
        "/opt/gpu/dkms.conf has no PACKAGE_NAME, without which DKMS refuses it. Write it there, as dkms(8) says.",
    ),
    "a name that another file says": (
        with_source(CONF.replace("PACKAGE_NAME=gpu\n", ". ./name\n")),
        SOURCE,
        "PACKAGE_NAME in /opt/gpu/dkms.conf cannot be determined without running it. Set the option name.",
    ),
    "a version that is filled in elsewhere": (
        with_source(CONF.replace("=1.0", '="#MODULE_VERSION#"')),
        SOURCE,
        f"PACKAGE_VERSION in /opt/gpu/dkms.conf is '#MODULE_VERSION#'{CHARACTERS}",
    ),
    "a package of sources": (
        lambda dkms: dkms.tree.file("/opt/gpu.src.rpm", "x"),
        {"source": "/opt/gpu.src.rpm", "remote_src": True},
        "source: /opt/gpu.src.rpm is a file. Give the folder with the package's dkms.conf; an archive has to be unpacked first.",
    ),
    "the file for its folder": (
        with_source(),
        {"source": "/opt/gpu/dkms.conf", "remote_src": True},
        "source: /opt/gpu/dkms.conf is a file. Give the folder with the package's dkms.conf; an archive has to be unpacked first.",
    ),
    "a relative path": (
        with_source(),
        {"source": "opt/gpu", "remote_src": True},
        "source: 'opt/gpu' is not an absolute path. Give the folder's whole path, or leave remote_src out.",
    ),
    "a pattern of kernels": (with_source(), {**SOURCE, "kernels": ["6.*"]}, f"kernels: kernel 6.* is not installed. {INSTALLED}"),
    "no kernel": (
        with_source(),
        {**SOURCE, "kernels": []},
        "kernels: the list is empty. Give all, running or releases, or leave kernels out.",
    ),
    "a kernel that is not there beside all": (
        with_source(),
        {**SOURCE, "kernels": ["all", "9.9"]},
        f"kernels: kernel 9.9 is not installed. {INSTALLED}",
    ),
    "a file for a module": (
        with_source(),
        {**SOURCE, "modules": [{"name": "gpu_vfio_pci.ko"}]},
        "modules: 'gpu_vfio_pci.ko' cannot be a module's name. Give it as lsmod does, without .ko.",
    ),
    "a module without a name": (
        with_source(),
        {**SOURCE, "modules": [{"name": ""}]},
        "modules: '' cannot be a module's name. Give it as lsmod does, without .ko.",
    ),
    "a module that the package does not have": (
        with_source(),
        {**SOURCE, "modules": [{"name": "other"}]},
        f"The package has no module other for kernel {DEBIAN_12}; it has gpu_vfio_pci. Check BUILT_MODULE_NAME in its dkms.conf, ",
    ),
    "a removal from one kernel": (
        installed,
        {"name": "gpu", "state": "absent", "kernels": [DEBIAN_12]},
        "kernels: state=absent removes the package from all kernels. Leave kernels out.",
    ),
    "a removal without a name": (
        installed,
        {"state": "absent"},
        "name: without source, the package's name is needed. Set name, or source.",
    ),
    "a name alone": (with_source(), {"name": "gpu"}, "version: the version of gpu is needed. Set version, or source."),
    "sources that are nowhere": (
        with_source(),
        {"name": "gpu", "version": "1.0"},
        "version: this host has no sources of gpu 1.0; it has none. Set source to the folder with them.",
    ),
    "a variant with a dash": (with_source(), {"variant": "nvgrace-gpu"}, f"variant: 'nvgrace-gpu' {VARIANT} Did you mean nvgrace_gpu?"),
    "a variant's module": (with_source(), {"variant": "mlx5_vfio_pci"}, f"variant: 'mlx5_vfio_pci' {VARIANT} Did you mean mlx5?"),
    "a variant in capitals": (with_source(), {"variant": "MLX5-VFIO-PCI"}, f"variant: 'MLX5-VFIO-PCI' {VARIANT} Did you mean mlx5?"),
    "a variant without a name": (
        with_source(),
        {"variant": ""},
        f"variant: '' {VARIANT} Such are mlx5, nvgrace_gpu, qat and virtio.",
    ),
    "sources of kernels for a package": (
        with_source(),
        {**SOURCE, "kernel_sources": ["/srv/linux"]},
        "kernel_sources: there is no variant to build. Set variant, or leave kernel_sources out.",
    ),
    "a rule that is not an expression": (
        with_source(f"{CONF}BUILD_EXCLUSIVE_KERNEL='^(6'\n"),
        SOURCE,
        "BUILD_EXCLUSIVE_KERNEL in /opt/gpu/dkms.conf is '^(6', which is not a valid regular expression, so that DKMS builds for no kernel",
    ),
    "nothing to build": (
        with_source("PACKAGE_NAME=gpu\nPACKAGE_VERSION=1.0\nMAKE=true\n"),
        SOURCE,
        "/opt/gpu/dkms.conf has no DEST_MODULE_LOCATION, and nothing is installed without one, so that DKMS cannot build it. ",
    ),
    "a gap among its modules": (
        with_source(f"{CONF}BUILT_MODULE_NAME[2]=other\nDEST_MODULE_LOCATION[2]=/updates\n"),
        SOURCE,
        "/opt/gpu/dkms.conf has no BUILT_MODULE_NAME[1], though there are settings for 3 modules, so that DKMS cannot build it. ",
    ),
    "a rule of the administrator's": (
        lambda dkms: [with_source()(dkms), dkms.tree.file("/etc/dkms/gpu.conf", "BUILD_EXCLUSIVE_KERNEL=^7\n")],
        SOURCE,
        f"gpu 1.0 is not for kernel {DEBIAN_12}: BUILD_EXCLUSIVE_KERNEL is '^7', which ",
    ),
    "no kernel that it is for": (
        with_source(f'{CONF}BUILD_EXCLUSIVE_ARCH="s390x"\n'),
        SOURCE,
        f"gpu 1.0 is not for kernel {DEBIAN_12}: BUILD_EXCLUSIVE_ARCH is 's390x', which ",
    ),
}


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_one_sentence_with_what_to_do(tmp_path: Path, case: str, check_mode: bool) -> None:
    arrange, given, sentence = REFUSED[case]
    dkms = two_kernels(tmp_path)
    arrange(dkms)
    calls = len(dkms.calls)
    with pytest.raises(HostError) as caught:
        run(dkms, check_mode, **given)
    assert str(caught.value).startswith(sentence)
    assert len(dkms.calls) == calls


LACKING: dict[str, tuple[Arrange, Result, str, str]] = {
    "DKMS": (
        lambda dkms: [with_source()(dkms), gone(dkms, "/usr/sbin/dkms")],
        SOURCE,
        "This host lacks the command dkms",
        "Install dkms.",
    ),
    "DKMS for a removal": (
        without("/usr/sbin/dkms"),
        {"name": "gpu", "state": "absent"},
        "This host lacks the command dkms",
        "Install dkms.",
    ),
    "the headers, by a link that leads nowhere": (
        lambda dkms: [with_source()(dkms), gone(dkms, f"/usr/src/linux-headers-{DEBIAN_13}")],
        SOURCE,
        f"This host lacks the headers of kernel {DEBIAN_13}",
        (
            f"Install the package that brings /lib/modules/{DEBIAN_13}/build, whose name on this distribution is not known, "
            "or set kernels to those for which a build is possible."
        ),
    ),
}


@pytest.mark.parametrize("case", LACKING)
def test_what_an_earlier_task_can_change_is_a_warning_of_check_mode(tmp_path: Path, case: str) -> None:
    arrange, given, what, hint = LACKING[case]
    dkms = two_kernels(tmp_path)
    arrange(dkms)
    calls = len(dkms.calls)
    predicted = run(dkms, check_mode=True, **given)
    assert (predicted["changed"], len(predicted["warnings"])) == (True, 1)
    assert predicted["warnings"][0].startswith(what)
    assert "outside of check mode this would fail unless an earlier task" in predicted["warnings"][0]
    with pytest.raises(HostError) as caught:
        run(dkms, **given)
    assert (caught.value.msg, caught.value.hint, len(dkms.calls)) == (f"{what}.", hint, calls)


def test_a_module_that_another_package_has_installed_too_is_a_warning_until_one_of_both_is_gone(tmp_path: Path) -> None:
    dkms = two_kernels(tmp_path)
    with_source()(dkms)
    run(dkms, **SOURCE, kernels=[DEBIAN_12])
    with_source(CONF.replace("=gpu\n", "=other\n"), "/opt/other")(dkms)
    other: Result = {"source": "/opt/other", "remote_src": True}
    said = (
        "DKMS's package gpu has a module gpu_vfio_pci, too, and a kernel loads one of a name: which of both was built last. "
        "Remove one of both packages, such as by name=gpu and state=absent."
    )
    assert not run(dkms, **other, kernels=[DEBIAN_13]).get("warnings")
    assert not run(dkms, **other, state="built", kernels=[DEBIAN_12]).get("warnings")
    for check_mode in (True, False, False):
        assert run(dkms, check_mode, **other)["warnings"] == [said]
    run(dkms, name="gpu", state="absent")
    assert not run(dkms, **other).get("warnings")


DONE: dict[str, tuple[Arrange, Result, Result]] = {
    "a folder with a slash at its end": (with_source(), {**SOURCE, "source": "/opt/gpu/"}, {"changed": True, "version": "1.0"}),
    "a kernel by two names": (with_source(), {**SOURCE, "kernels": ["running", DEBIAN_12]}, {"changed": True, "of": [DEBIAN_12]}),
    "kernels in one text": (with_source(), {**SOURCE, "kernels": f"{DEBIAN_12},{DEBIAN_13}"}, {"of": [DEBIAN_12, DEBIAN_13]}),
    "a module in the other spelling": (with_source(), {**SOURCE, "modules": [{"name": "gpu-vfio-pci"}]}, {"names": ["gpu_vfio_pci"]}),
    "a module twice": (with_source(), {**SOURCE, "modules": [{"name": "gpu_vfio_pci"}] * 2}, {"names": ["gpu_vfio_pci"]}),
    "an older version in place of a newer": (
        lambda dkms: [with_source(CONF.replace("1.0", "2.0"))(dkms), run(dkms, **SOURCE), with_source()(dkms)],
        SOURCE,
        {"version": "1.0", "replaced": ["2.0"]},
    ),
    "sources in /usr/src by a link": (
        lambda dkms: [with_source()(dkms), dkms.tree.link("/usr/src/gpu-1.0", "../../opt/gpu")],
        {"name": "gpu", "version": "1.0"},
        {"changed": True, "names": ["gpu_vfio_pci"]},
    ),
    "the absence of what never was": (with_source(), {"name": "gpu", "state": "absent"}, {"changed": False, "removed": []}),
    "the absence of another version": (installed, {"name": "gpu", "version": "2.0", "state": "absent"}, {"changed": False, "removed": []}),
    "the absence of a tree without sources": (without("/usr/src/gpu-1.0"), {"name": "gpu", "state": "absent"}, {"removed": ["1.0"]}),
    "the absence of sources without a tree": (
        without("/var/lib/dkms/gpu"),
        {"name": "gpu", "state": "absent"},
        {
            "removed": ["1.0"],
            "removed_files": [f"/lib/modules/{release}/updates/dkms/gpu_vfio_pci.ko" for release in (DEBIAN_12, DEBIAN_13)],
        },
    ),
    "the absence of modules alone": (
        without("/var/lib/dkms/gpu", "/usr/src/gpu-1.0"),
        {"name": "gpu", "version": "1.0", "modules": [{"name": "gpu_vfio_pci"}], "state": "absent"},
        {"removed": [], "removed_files": [f"/lib/modules/{release}/updates/dkms/gpu_vfio_pci.ko" for release in (DEBIAN_12, DEBIAN_13)]},
    ),
    "the absence of a variant that never was": (with_source(), {"variant": "mlx5", "state": "absent"}, {"changed": False}),
}


@pytest.mark.parametrize("case", DONE)
def test_what_can_be_done_is_predicted_done_and_then_there(tmp_path: Path, case: str) -> None:
    arrange, given, expected = DONE[case]
    dkms = two_kernels(tmp_path)
    arrange(dkms)
    predicted = run(dkms, check_mode=True, **given)
    result = run(dkms, **given)
    for found in (predicted, result):
        seen = {**found, "of": list(found["kernels"]), "names": [module["name"] for module in found["modules"]]}
        assert {key: seen[key] for key in expected} == expected
    assert not run(dkms, **given)["changed"]
