# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of a report in a real browser: what a person sees, clicks, hears and prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.plugin_utils._report.files import fleet_report, host_report
from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import HostData
from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import Summary, not_examined, summarise
from ansible_collections.vfio.variants.tests.unit.browser import Browser
from ansible_collections.vfio.variants.tests.unit.policy_hosts import VARIANT
from ansible_collections.vfio.variants.tests.unit.report_hosts import FIRST_GPU, OLD, SECOND_GPU, examined, gpu_host
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

HOSTILE = '</script><script>alert("x")</script><img src=http://192.0.2.1/x onerror=alert(1)>\'"&{{ 7*7 }}'


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> HostData:
    return examined(gpu_host(tmp_path_factory.mktemp("host")))


@pytest.fixture(scope="module")
def page(host: HostData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    host_report(host).write(folder, check_mode=False)
    return folder / "hosts" / "gpu-1.html"


def fleet(host: HostData) -> list[Summary]:
    """A host of each kind, in no order."""
    steady = dataclasses.replace(host, devices=tuple(device for device in host.devices if device.address == FIRST_GPU), warnings=())
    worse = summarise(host, "hosts/gpu-1.html")
    kinds = [summarise(dataclasses.replace(steady, name=f"cpu-{number}")) for number in (10, 9)]
    return [*kinds, worse, dataclasses.replace(worse, name="gpu-2"), not_examined("gpu-3", "It could not be reached.")]


@pytest.fixture(scope="module")
def fleet_page(host: HostData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    fleet_report("GPU hosts", fleet(host)).write(folder, check_mode=False)
    return folder / "index.html"


def test_a_page_of_a_host_makes_no_request_and_runs_without_an_error(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert (browser.requests, browser.problems) == ([page.as_uri()], [])


def test_what_needs_attention_comes_before_the_pictures(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.texts("h2")[:2] == ["What needs attention", "PCI devices and IOMMU groups"]
    assert browser.texts(".warnings li")[0] == f"After the next boot: {SECOND_GPU}, 10de:1db1: nouveau → a race: {VARIANT} or nouveau"


def test_the_next_kernel_is_shown_first_and_a_click_shows_another(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.texts("[role=tabpanel] h3") == [f"After a boot of {DEBIAN_13}"]
    browser.click("[role=tab]", 1)
    assert browser.texts("[role=tabpanel] h3") == [f"After a boot of {OLD}"]
    assert browser.texts("[role=tab][aria-selected=true]") == [OLD]


def test_kernels_can_be_chosen_by_the_keyboard_alone(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('[role=tab]').focus()")
    browser.press("ArrowRight")
    assert browser.texts("[role=tab][aria-selected=true]") == [OLD]
    assert browser.run("document.activeElement.textContent") == OLD
    browser.press("Home")
    assert browser.texts("[role=tabpanel] h3") == [f"After a boot of {DEBIAN_13}"]


def test_a_click_on_a_mark_of_the_timeline_shows_the_deciding_event(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.texts(".reason") == []
    browser.click(f".times svg a[aria-label^='{SECOND_GPU}']")
    (shown,) = browser.texts(".reason")
    assert f"{SECOND_GPU} 10de:1db1: a race: {VARIANT} or nouveau" in shown
    assert f"/etc/udev/rules.d/60-gpu.rules:1: driver_override={VARIANT}" in shown
    assert f"The policy claims it for {VARIANT}." in shown


def test_the_event_is_reached_by_the_keyboard_and_gets_the_focus(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run(f"document.querySelector(\".times svg a[aria-label^='{FIRST_GPU}']\").focus()")
    browser.press("Enter")
    assert browser.run("document.activeElement.className") == "reason"
    assert "nouveau" in browser.run("document.activeElement.textContent")


def test_the_tab_key_reaches_every_device_in_the_order_of_the_picture(browser: Browser, page: Path) -> None:
    browser.open(page)
    reached = []
    for _press in range(40):
        browser.press("Tab")
        reached.append(browser.run("document.activeElement.getAttribute('aria-label') || ''"))
    boxes: list[str] = browser.run("Array.from(document.querySelectorAll('.pair > section:first-child svg a')).map(a => a.ariaLabel)")
    assert [name for name in reached if name in boxes][: len(boxes)] == boxes


def test_a_screen_reader_is_given_the_pictures_in_words(browser: Browser, page: Path) -> None:
    browser.open(page)
    tree = browser.accessible()
    assert ("link", f"{FIRST_GPU} 10de:1db1, 3D controller: nouveau, IOMMU group 1") in tree
    assert ("tablist", "Kernels") in tree
    assert ("tab", f"{DEBIAN_13} (boots next) (running)") in tree
    assert ("group", "PCI devices now") in {(role.lower(), name) for role, name in tree}
    assert [name for role, name in tree if role in ("link", "button", "tab") and not name.strip()] == []


def test_a_group_of_a_bridge_and_what_is_below_it_is_one_box(browser: Browser, page: Path) -> None:
    browser.open(page)
    boxes = browser.run(
        "Array.from(document.querySelector('.pair svg').querySelectorAll('g')).map(g => [g.textContent.trim(), g.getBBox().height])"
    )
    heights = dict(boxes)
    assert heights["IOMMU group 1"] > 2 * heights["IOMMU group 0"]
    inside = browser.run(
        "(() => { const svg = document.querySelector('.pair svg'); const group = Array.from(svg.querySelectorAll('g'))"
        ".find(g => g.textContent.trim() === 'IOMMU group 1').getBBox(); return Array.from(svg.querySelectorAll('a'))"
        ".filter(a => { const box = a.getBBox(); return box.y >= group.y && box.y + box.height <= group.y + group.height; })"
        ".map(a => a.ariaLabel.slice(0, 12)); })()"
    )
    assert inside == ["0000:00:01.0", FIRST_GPU, "0000:03:00.1"]


def test_no_text_of_a_picture_leaves_its_box_or_covers_another(browser: Browser, page: Path) -> None:
    browser.open(page)
    faults = browser.run(
        "Array.from(document.querySelectorAll('.pair svg a')).filter(a => a.checkVisibility()).filter(a => {"
        " const box = a.querySelector('.box').getBBox(); const texts = Array.from(a.querySelectorAll('text')).map(t => t.getBBox());"
        " return texts.some(t => t.x < box.x || t.x + t.width > box.x + box.width)"
        " || texts[1].x + texts[1].width > texts[2].x; }).map(a => a.ariaLabel)"
    )
    assert faults == []


def test_colours_follow_the_readers_choice_and_text_keeps_its_contrast(browser: Browser, page: Path) -> None:
    colours = "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    seen = {}
    for scheme in ("light", "dark"):
        browser.show_as(scheme=scheme)
        browser.open(page)
        seen[scheme] = browser.run(colours)
        assert contrast(*seen[scheme]) >= 7
        quiet = browser.run("getComputedStyle(document.querySelector('.quiet')).color")
        assert contrast(quiet, seen[scheme][1]) >= 4.5
    browser.show_as()
    assert seen["light"] != seen["dark"]


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_printed_page_has_every_kernel_and_every_reason(browser: Browser, page: Path) -> None:
    browser.show_as(medium="print")
    browser.open(page)
    printed = browser.texts("[role=tabpanel] h3")
    assert {f"After a boot of {DEBIAN_13}", f"After a boot of {OLD}"} <= set(printed)
    assert browser.texts("[role=tablist]") == []
    assert browser.print().startswith(b"%PDF")
    browser.show_as()


def test_without_a_script_nothing_is_hidden(browser: Browser, page: Path) -> None:
    browser.say("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert len([name for name in browser.texts("[role=tabpanel] h3") if name.startswith("After a boot of")]) == 2
        assert browser.texts(".reason") != []
    finally:
        browser.say("Emulation.setScriptExecutionDisabled", value=False)


def test_a_fleets_worst_hosts_come_first(browser: Browser, fleet_page: Path) -> None:
    browser.open(fleet_page)
    assert browser.texts("#fleet tbody th") == ["gpu-3", "gpu-1", "gpu-2", "cpu-10", "cpu-9"]
    assert (browser.requests, browser.problems) == ([fleet_page.as_uri()], [])


def test_a_fleet_is_sorted_by_the_column_that_is_clicked_numbers_by_their_value(browser: Browser, fleet_page: Path) -> None:
    browser.open(fleet_page)
    browser.click("#fleet thead button")
    assert browser.texts("#fleet tbody th") == ["cpu-9", "cpu-10", "gpu-1", "gpu-2", "gpu-3"]
    browser.click("#fleet thead button")
    assert browser.texts("#fleet tbody th") == ["gpu-3", "gpu-2", "gpu-1", "cpu-10", "cpu-9"]
    assert browser.run("document.querySelector('#fleet thead th').getAttribute('aria-sort')") == "descending"


def test_a_fleet_is_filtered_by_words_and_by_states_and_says_how_many_are_left(browser: Browser, fleet_page: Path) -> None:
    browser.open(fleet_page)
    browser.run("document.getElementById('search').focus()")
    browser.write("GPU nvlink2")
    assert browser.texts("#fleet tbody th") == ["gpu-1", "gpu-2"]
    assert browser.texts("[role=status]") == ["2 of 5 hosts"]
    browser.run("document.getElementById('search').value = ''")
    browser.click("[data-state='not examined']")
    assert browser.texts("#fleet tbody th") == ["gpu-3"]
    browser.click("[data-state='not as claimed']")
    assert browser.texts("#fleet tbody th") == ["gpu-3", "gpu-1", "gpu-2"]


def test_a_row_of_a_fleet_leads_to_the_page_of_its_host(browser: Browser, fleet_page: Path) -> None:
    browser.open(fleet_page)
    assert browser.run("document.querySelector('#fleet tbody a').getAttribute('href')") == "hosts/gpu-1.html"


@pytest.mark.sampled(3)
def test_a_thousand_hosts_are_at_most_5_mb_and_all_shown(browser: Browser, host: HostData, tmp_path: Path) -> None:
    long = ("w" * 300,) * 6
    one = dataclasses.replace(summarise(host, "hosts/gpu-1.html"), remarks=long, warnings=900, sentences=900)
    report = fleet_report("Many", [dataclasses.replace(one, name=f"gpu-{number}") for number in range(1000)])
    report.write(tmp_path, check_mode=False)
    page = tmp_path / "index.html"
    assert page.stat().st_size <= 5_000_000
    browser.open(page)
    assert len(browser.texts("#fleet tbody th")) == 1000


@pytest.mark.sampled(4)
@pytest.mark.parametrize("field", ["name", "driver", "because", "warning", "release", "reason", "failure"])
def test_text_from_a_host_stays_text(browser: Browser, host: HostData, tmp_path: Path, field: str) -> None:
    device = host.devices[-1]
    outcome = dataclasses.replace(device.outcomes[DEBIAN_13], because=(HOSTILE,), claimed=HOSTILE, would_change=HOSTILE)
    changes: dict[str, HostData] = {
        "name": dataclasses.replace(host, name=HOSTILE),
        "driver": dataclasses.replace(host, devices=(dataclasses.replace(device, driver=HOSTILE, name=HOSTILE, variant=HOSTILE),)),
        "because": dataclasses.replace(host, devices=(dataclasses.replace(device, outcomes={DEBIAN_13: outcome}, next_boot=outcome),)),
        "warning": dataclasses.replace(host, warnings=(HOSTILE,)),
        "release": dataclasses.replace(host, running=HOSTILE, next_release=HOSTILE, kernels=(HOSTILE,)),
        "reason": dataclasses.replace(host, next_reason=HOSTILE),
        "failure": dataclasses.replace(host, failures=(HOSTILE,)),
    }
    hostile = dataclasses.replace(changes[field], kernels=changes[field].kernels[-1:])
    if field == "release":
        hostile = dataclasses.replace(hostile, devices=(dataclasses.replace(device, outcomes={HOSTILE: outcome}),))
    for report in (host_report(hostile), fleet_report(HOSTILE, [summarise(hostile)])):
        report.write(tmp_path, check_mode=False)
        page = tmp_path / f"{report.stem}.html"
        browser.open(page)
        assert (browser.requests, browser.problems) == ([page.as_uri()], [])
        assert browser.run("document.scripts.length") == 1
        assert browser.run("document.images.length") == 0
        assert HOSTILE[:20] in browser.run("document.body.textContent")
