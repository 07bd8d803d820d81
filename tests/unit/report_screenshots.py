# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the pictures of a report that the documentation shows: `tools/run python tests/unit/report_screenshots.py`."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._report.files import fleet_report, host_report
from ansible_collections.vfio.variants.plugins.plugin_utils._report.summary import Summary, not_examined, summarise
from ansible_collections.vfio.variants.tests.unit.browser import Browser
from ansible_collections.vfio.variants.tests.unit.report_hosts import FIRST_GPU, SECOND_GPU, examined, gpu_host

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def take(browser: Browser, page: Path, name: str, height: int, scheme: str = "light") -> None:
    browser.say("Emulation.setDeviceMetricsOverride", width=1180, height=height, deviceScaleFactor=1, mobile=False)
    browser.show_as(scheme=scheme)
    browser.open(page)
    if "hosts" in page.parts:
        browser.click(f".times svg a[aria-label^='{SECOND_GPU}']")
        browser.run("document.activeElement.blur(); scrollTo(0, 0)")
    (IMAGES / name).write_bytes(browser.screenshot())


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        host = examined(gpu_host(folder / "root"))
        steady = tuple(device for device in host.devices if device.address == FIRST_GPU)
        quiet = [
            summarise(dataclasses.replace(host, name=f"gpu-{number}", devices=steady, warnings=()), f"hosts/gpu-{number}.html")
            for number in range(2, 6)
        ]
        hosts: list[Summary] = [*quiet, summarise(host, "hosts/gpu-1.html"), not_examined("gpu-6", "It could not be reached.")]
        host_report(host).write(folder, check_mode=False)
        fleet_report("GPU hosts", hosts).write(folder, check_mode=False)
        with Browser(folder / "profile") as browser:
            take(browser, folder / "hosts/gpu-1.html", "report-host.png", 1380)
            take(browser, folder / "index.html", "report-fleet.png", 560)
            take(browser, folder / "hosts/gpu-1.html", "report-dark.png", 620, "dark")
    return 0


if __name__ == "__main__":
    sys.exit(main())
