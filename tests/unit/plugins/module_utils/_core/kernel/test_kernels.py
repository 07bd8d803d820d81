# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kernel has, which module wants which device, and which VFIO driver is the best for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import (
    Kernel,
    PendingModule,
    chosen_releases,
    installed_releases,
    read_all,
    running_release,
    unknown_module_error,
    version_key,
)
from ansible_collections.vfio.variants.tests.unit import boots
from ansible_collections.vfio.variants.tests.unit.trees import (
    ANY_VFIO,
    DEBIAN_12,
    DEBIAN_13,
    NVIDIA_DISPLAY,
    V100_VARIANT,
    Tree,
    modalias,
    stock_debian,
)

V100 = modalias("10de:1db1")
NIC = modalias("8086:10d3", class_code=0x020000)


def kernel(tree: Tree) -> Kernel:
    return Kernel.read(tree.host(), DEBIAN_13)


def test_modules_are_found_whatever_their_dashes_and_compression(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(
        f"/lib/modules/{DEBIAN_13}/modules.dep", "kernel/a-b.ko.xz: kernel/c.ko.zst\nkernel/c.ko.zst:\nupdates/d.ko:\n"
    )
    found = kernel(tree)
    assert dict(found.modules) == {"a_b": "kernel/a-b.ko.xz", "c": "kernel/c.ko.zst", "d": "updates/d.ko"}
    assert found.has("a-b")
    assert found.has("a_b")
    assert not found.has("ko")


def test_dependencies_are_inserted_from_the_end_of_their_line(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, image=False)
    tree.file(
        f"/lib/modules/{DEBIAN_13}/modules.dep",
        "kernel/vfio-pci.ko.xz: kernel/vfio-pci-core.ko.xz kernel/vfio.ko.xz kernel/irqbypass.ko.xz\nkernel/vfio.ko.xz:\n",
    )
    assert kernel(tree).dependencies("vfio-pci") == ("irqbypass", "vfio", "vfio_pci_core")
    assert kernel(tree).dependencies("vfio") == ()
    assert kernel(tree).dependencies("nouveau") == ()


def test_what_is_built_in_counts_as_had(tmp_path: Path) -> None:
    found = kernel(stock_debian(tmp_path))
    assert found.builtins == {"shpchp"}
    assert found.has("shpchp")


def test_headers_are_there_when_the_build_link_leads_to_a_makefile(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, headers=True).kernel(DEBIAN_12)
    tree.link(f"/lib/modules/{DEBIAN_12}/build", f"/usr/src/linux-headers-{DEBIAN_12}")
    assert kernel(tree).has_headers
    assert not Kernel.read(tree.host(), DEBIAN_12).has_headers


def test_a_kernel_without_modules_is_told_with_those_that_have_some(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"Kernel 6\.9 has no /lib/modules/6\.9/modules\.dep") as caught:
        Kernel.read(stock_debian(tmp_path).host(), "6.9")
    assert DEBIAN_13 in str(caught.value.hint)


def test_a_native_is_found_by_its_class_and_vendor(tmp_path: Path) -> None:
    assert [match.module for match in kernel(stock_debian(tmp_path)).natives(V100)] == ["nouveau"]
    assert [match.module for match in kernel(stock_debian(tmp_path)).natives(NIC)] == ["e1000e"]
    assert kernel(stock_debian(tmp_path)).natives(modalias("10de:1db1", class_code=0x040300)) == ()


def test_natives_are_in_depmods_order_each_once(tmp_path: Path) -> None:
    exact = "pci:v000010DEd00001DB1sv*sd*bc*sc*i*"
    tree = Tree(tmp_path).kernel(
        DEBIAN_13, {"z_first": [exact, NVIDIA_DISPLAY], "nouveau": [NVIDIA_DISPLAY], "a_last": ["pci:v*d*sv*sd*bc03sc02i00*"]}
    )
    found = kernel(tree).natives(V100)
    assert [match.module for match in found] == ["z_first", "nouveau", "a_last"]
    assert [match.wildcards for match in found] == [5, 5, 4]


def test_a_pci_alias_makes_no_variant_and_a_vfio_alias_no_native(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"nouveau": [NVIDIA_DISPLAY], "variant": [V100_VARIANT]})
    assert [match.module for match in kernel(tree).natives(V100)] == ["nouveau"]
    assert [match.module for match in kernel(tree).variants(V100)] == ["variant"]
    assert kernel(tree).vfio_modules == {"variant"}


def test_built_in_vfio_drivers_are_known_by_their_names_where_no_list_has_their_aliases(tmp_path: Path) -> None:
    built_in = ["vfio/vfio", "vfio/pci/vfio-pci-core", "vfio/pci/vfio-pci", "vfio/pci/mlx5-vfio-pci"]
    tree = Tree(tmp_path).kernel(DEBIAN_13, {}, builtin=built_in)
    assert kernel(tree).vfio_modules == {"vfio_pci", "mlx5_vfio_pci"}


def test_the_best_variant_leaves_the_fewest_fields_open(tmp_path: Path) -> None:
    subsystem = "vfio_pci:v000010DEd00001DB1sv000010DEsd00001212bc*sc*i*"
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio_pci": [ANY_VFIO], "by_id": [V100_VARIANT], "by_subsystem": [subsystem]})
    found = kernel(tree).variants(modalias("10de:1db1", "10de:1212"))
    assert [(match.module, match.wildcards) for match in found] == [("by_subsystem", 3), ("by_id", 5), ("vfio_pci", 7)]
    assert [match.module for match in kernel(tree).variants(V100)] == ["by_id", "vfio_pci"]


def test_of_two_equally_good_variants_the_first_in_depmods_order_is_best(tmp_path: Path) -> None:
    by_class = "vfio_pci:v00008086d*sv*sd*bc03sc*i*"
    by_id = "vfio_pci:v00008086d0000E20Bsv*sd*bc*sc*i*"
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"xe-vfio-pci": [by_id], "igd_vfio_pci": [by_class]})
    best = kernel(tree).best_variant(modalias("8086:e20b"))
    assert best is not None
    assert (best.module, best.wildcards) == ("xe_vfio_pci", 5)


def test_a_kernel_without_vfio_has_no_variant(tmp_path: Path) -> None:
    assert kernel(Tree(tmp_path).kernel(DEBIAN_13)).best_variant(V100) is None


def test_a_hand_written_alias_matches_as_a_pattern(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"broad": ["pci:v000010DE*"], "other": ["pci:v0000[!1]*"]})
    assert [match.module for match in kernel(tree).natives(V100)] == ["broad"]


def test_built_in_natives_come_first_where_the_kernel_tells_them(tmp_path: Path) -> None:
    tree = stock_debian(tmp_path)
    modinfo = f"nvidiafb.license=GPL\0nvidiafb.alias={NVIDIA_DISPLAY}\0other.alias=platform:x\0"
    tree.file(f"/lib/modules/{DEBIAN_13}/modules.builtin.modinfo", modinfo)
    found = kernel(tree).natives(V100)
    assert [match.module for match in found] == ["nvidiafb", "nouveau"]
    assert [match.order < 0 for match in found] == [True, False]


def test_a_pending_module_is_as_good_as_installed(tmp_path: Path) -> None:
    stock = kernel(stock_debian(tmp_path))
    later = stock.with_pending([PendingModule("nvlink2gpu-vfio-pci", (V100_VARIANT,))])
    assert not stock.has("nvlink2gpu_vfio_pci")
    assert later.has("nvlink2gpu_vfio_pci")
    assert [match.module for match in later.variants(V100)] == ["nvlink2gpu_vfio_pci", "vfio_pci"]
    assert [match.module for match in stock.variants(V100)] == ["vfio_pci"]


def test_a_pending_module_replaces_what_its_predecessor_claimed(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"updates/dkms/variant": [V100_VARIANT], "vfio_pci": [ANY_VFIO]})
    later = kernel(tree).with_pending([PendingModule("variant", ("vfio_pci:v000010DEd00001DB5sv*sd*bc*sc*i*",))])
    assert [match.module for match in later.variants(V100)] == ["vfio_pci"]
    assert [match.module for match in later.variants(modalias("10de:1db5"))] == ["variant", "vfio_pci"]


def test_nothing_pending_changes_nothing(tmp_path: Path) -> None:
    stock = kernel(stock_debian(tmp_path))
    assert stock.with_pending([]) is stock


def test_installed_is_what_has_modules_and_an_image_or_runs(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel("6.12.9", image=False).kernel("6.12.107").kernel("6.1.5").kernel("6.9", image=False, running=True)
    tree.file("/boot/vmlinuz-5.10", b"MZ").directory("/lib/modules/5.10").directory("/lib/modules/7.0")
    assert installed_releases(tree.host()) == ("6.1.5", "6.9", "6.12.107")
    assert [found.release for found in read_all(tree.host())] == ["6.1.5", "6.9", "6.12.107"]


@pytest.mark.parametrize("image", ["/boot/vmlinux-6.1", "/boot/Image-6.1", "/lib/modules/6.1/vmlinuz"])
def test_each_distributions_image_counts(tmp_path: Path, image: str) -> None:
    assert installed_releases(Tree(tmp_path).kernel("6.1", image=False).file(image).host()) == ("6.1",)


def test_releases_sort_as_their_makers_number_them() -> None:
    releases = ["6.12.107+deb13-amd64", "6.12.95+deb12-amd64", "7.3", "7.3-rc7", "7.3~rc6", "6.9"]
    assert sorted(releases, key=version_key) == ["6.9", "6.12.95+deb12-amd64", "6.12.107+deb13-amd64", "7.3~rc6", "7.3-rc7", "7.3"]


def test_an_image_runs_no_kernel(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="osrelease cannot be read"):
        running_release(Tree(tmp_path).host())
    assert running_release(stock_debian(tmp_path).host()) == DEBIAN_13


def test_an_unknown_module_is_told_with_the_nearest(tmp_path: Path) -> None:
    error = unknown_module_error("nouvaeu", [kernel(stock_debian(tmp_path))], "natives[0]")
    assert error.msg == f"natives[0]: there is no module nouvaeu in {DEBIAN_13}."
    assert "Did you mean nouveau?" in str(error.hint)
    assert "Did you mean" not in str(unknown_module_error("zzzz", [], "driver"))


def test_a_module_is_meant_by_either_way_to_write_it(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"snd-hda-intel": []}, running=True)
    error = unknown_module_error("SND-HDA-INTEL-X".lower(), read_all(tree.host()), "driver")
    assert "Did you mean snd_hda_intel?" in str(error.hint)
    assert read_all(tree.host())[0].nearest("s-n-d") is None


def test_kernels_are_listed_one_after_the_other(tmp_path: Path) -> None:
    kernels = read_all(two_kernels(tmp_path).host())
    assert unknown_module_error("zzzz", kernels, "driver").msg == f"driver: there is no module zzzz in {DEBIAN_12}, {DEBIAN_13}."


def two_kernels(root: Path) -> Tree:
    return Tree(root).kernel(DEBIAN_12, running=True).kernel(DEBIAN_13)


def test_all_means_every_installed_kernel(tmp_path: Path) -> None:
    assert chosen_releases(two_kernels(tmp_path).host(), ["all"]) == (DEBIAN_12, DEBIAN_13)


def test_running_and_the_same_kernel_by_name_are_one(tmp_path: Path) -> None:
    assert chosen_releases(two_kernels(tmp_path).host(), ["running", DEBIAN_12]) == (DEBIAN_12,)


def test_a_kernel_without_modules_is_refused_even_while_it_runs(tmp_path: Path) -> None:
    tree = two_kernels(tmp_path).running("6.18.44-custom")

    says = r"^kernels: kernel 6\.18\.44-custom is not installed\. Allowed are all, running, and the installed 6\.1\.0-50-amd64, 6\.12"
    with pytest.raises(HostError, match=says):
        chosen_releases(tree.host(), ["running"])


def test_no_kernel_runs_in_an_image(tmp_path: Path) -> None:
    host = Tree(tmp_path).kernel(DEBIAN_12).kernel(DEBIAN_13).host()
    with pytest.raises(HostError, match=r"^kernels: no kernel runs in an image\. Allowed are all, and the installed 6\.1\.0"):
        chosen_releases(host, ["running"])
    assert chosen_releases(host, ["running", "all"]) == (DEBIAN_12, DEBIAN_13)


def test_a_host_without_kernels_says_so(tmp_path: Path) -> None:
    for name in (DEBIAN_13, "running"):
        with pytest.raises(HostError, match="No kernel is installed"):
            chosen_releases(Tree(tmp_path).host(), [name])


def test_an_unknown_module_is_told_with_one_that_is_built_in(tmp_path: Path) -> None:
    assert "Did you mean shpchp?" in str(unknown_module_error("shpchpp", [kernel(stock_debian(tmp_path))], "driver").hint)
    assert unknown_module_error("x", [], "driver").msg == "driver: there is no module x, as no kernel is installed with its modules."


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("mlx5_vfio_pci", None),
        ("xe-vfio-pci", None),
        ("vfio_pcii", "vfio_pci"),
        ("nvlink2gpu_vfio_pc", "nvlink2gpu_vfio_pci"),
        ("nvlink2_vfio_pci", "nvlink2gpu_vfio_pci"),
        ("Variant", "variant"),
        ("variants", "variant"),
        ("atuo", "auto"),
        ("native", None),
    ],
)
def test_a_variant_is_not_taken_for_another_only_for_the_ending_of_all(tmp_path: Path, name: str, meant: str | None) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"vfio-pci": [], "nvlink2gpu_vfio_pci": [], "nouveau": []}, running=True)
    hint = str(unknown_module_error(name, read_all(tree.host()), "driver", ("auto", "variant")).hint)
    assert hint.startswith(f"Did you mean {meant}? Check" if meant else "Check the spelling, or install")
    assert ("vfio_drivers_variants" in hint) is name.endswith(("_vfio_pci", "-vfio-pci"))


@pytest.mark.parametrize(("name", "meant"), [("runing", "Did you mean running? "), ("ALL", "Did you mean all? "), ("6.13", "")])
def test_a_word_for_kernels_that_is_misspelt_is_told_with_the_right_one(tmp_path: Path, name: str, meant: str) -> None:
    with pytest.raises(HostError) as caught:
        chosen_releases(two_kernels(tmp_path).host(), [name])
    assert caught.value.hint == f"{meant}Allowed are all, running, and the installed {DEBIAN_12}, {DEBIAN_13}."


def test_the_nearest_module_of_the_newest_kernel_that_has_one_like_it_is_told(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_12, {"nouveau-old": []}).kernel(DEBIAN_13, {"nouveau-new": []}).kernel("7.0", {"zzzz": []})
    error = unknown_module_error("nouveau-nev", read_all(tree.host()), "driver")
    assert "Did you mean nouveau_new?" in str(error.hint)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("6.1", "6.1.5"),
        ("6.1.5", "6.1.10"),
        # rpmvercmp(): a number is newer than a word in its place; a tilde is older than the end.
        ("7.3~x", "7.3~0"),
        ("7.3~x", "7.3~1"),
        ("7.3~rc1", "7.3"),
        ("7.3~rc1", "7.3~rc2"),
        ("7.3-rc9", "7.3-rc10"),
        ("7.3", "7.3.1-rc1"),
        ("7.3", "7.3-a"),
        ("6.1-a", "6.1-b"),
        ("4.18.0-553.5.1.el8_10", "4.18.0-553.16.1.el8_10"),
    ],
)
def test_of_two_releases_the_newer_is_told(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


def test_lines_that_name_no_module_bring_none(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13)
    tree.file(
        f"/lib/modules/{DEBIAN_13}/modules.dep", "kernel/.ko:\nkernel/a.kox:\nkernel/b.ko.lz:\n# c.ko\nkernel/d.ko.gz: kernel/e.txt\n"
    )
    tree.file(f"/lib/modules/{DEBIAN_13}/modules.builtin", "kernel/.ko\nkernel/f.ko.xz\nkernel/g-h.ko\ni.ko\n")
    found = kernel(tree)
    assert dict(found.modules) == {"d": "kernel/d.ko.gz"}
    assert found.builtins == {"g_h", "i"}
    assert found.dependencies("d") == ()


def test_a_pending_module_that_is_installed_keeps_its_file(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"updates/dkms/variant-a": [V100_VARIANT]})
    later = kernel(tree).with_pending([PendingModule("variant-a", (V100_VARIANT,)), PendingModule("variant-b")])
    assert dict(later.modules) == {"variant_a": "updates/dkms/variant-a.ko", "variant_b": ""}


def test_a_pending_module_whose_old_file_is_gone_counts_as_there(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(DEBIAN_13, {"updates/dkms/variant": [V100_VARIANT]})
    tree.place(f"/lib/modules/{DEBIAN_13}/updates/dkms/variant.ko").unlink()
    gone = kernel(tree).checked(tree.host())
    assert gone.absent == {"variant"}
    assert gone.with_pending([PendingModule("variant", (V100_VARIANT,))]).absent == frozenset()
    assert gone.with_pending([PendingModule("other")]).absent == {"variant"}


def test_the_release_that_runs_is_told_without_the_line_s_end(tmp_path: Path) -> None:
    assert running_release(Tree(tmp_path).file("/proc/sys/kernel/osrelease", " 6.1 \n").host()) == "6.1"


def test_chosen_kernels_are_each_told_once_in_the_order_of_the_choice(tmp_path: Path) -> None:
    host = two_kernels(tmp_path).host()
    assert chosen_releases(host, [DEBIAN_13, "running", DEBIAN_13]) == (DEBIAN_13, DEBIAN_12)
    assert chosen_releases(host, [DEBIAN_13, "all"]) == (DEBIAN_12, DEBIAN_13)


def test_the_words_that_an_option_takes_for_kernels_are_told_and_guessed(tmp_path: Path) -> None:
    host = two_kernels(tmp_path).host()
    with pytest.raises(HostError, match=r"^kernels: kernel nxt is not installed\. Did you mean next\? Allowed are next, all, running, and"):
        chosen_releases(host, ["nxt"], ("next",))
    with pytest.raises(HostError, match=r"^kernels: the list is empty\. Give next, all, running or releases, or leave"):
        chosen_releases(host, [], ("next",))


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ([], r"kernels: the list is empty\."),
        (["all", "9.9"], r"kernels: kernel 9\.9 is not installed\."),
        ([DEBIAN_12, "all", "6.*"], r"kernels: kernel 6\.\* is not installed\."),
    ],
)
def test_a_choice_of_no_kernel_or_of_one_that_is_not_there_beside_all_is_refused(tmp_path: Path, named: list[str], sentence: str) -> None:
    with pytest.raises(HostError, match=rf"^{sentence}"):
        chosen_releases(two_kernels(tmp_path).host(), named)


def test_the_running_kernel_is_one_of_all(tmp_path: Path) -> None:
    assert chosen_releases(two_kernels(tmp_path).host(), ["running", "all"]) == (DEBIAN_12, DEBIAN_13)
    assert chosen_releases(Tree(tmp_path / "image").kernel(DEBIAN_12).host(), ["running", "all"]) == (DEBIAN_12,)


@pytest.mark.parametrize(("name", "shown"), [("", "''"), (" ", "' '"), ("6\x00", r"'6\\x00'"), ("6.18 x", "6.18 x")])
def test_the_name_of_a_kernel_that_is_not_there_is_shown_so_that_it_can_be_seen(tmp_path: Path, name: str, shown: str) -> None:
    with pytest.raises(HostError, match=rf"^kernels: kernel {shown} is not installed"):
        chosen_releases(two_kernels(tmp_path).host(), [name])


def test_the_nearest_name_is_looked_for_with_underscores() -> None:
    assert boots.kernel({"a_b": [], "axb": []}).nearest("a-b") == "a_b"
