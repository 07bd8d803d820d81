# SPDX-FileCopyrightText: The vfio.variants authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of test_image."""

from __future__ import annotations

import os
import typing as t

from ansible.utils.display import Display

from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.modules.test_image import argument_spec
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.action.controller_action import ControllerAction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image import build_as_root
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.image import ImageBuilder, TestImage
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.options import ImageOptions
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache


class ActionModule(ControllerAction):
    def argument_spec(self) -> dict[str, t.Any]:
        return argument_spec()

    def work(self, options: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        checked_timeout(options["timeout"])
        mirror = options["mirror"] or apt_sources.of_this_machine()
        image_options = ImageOptions.from_mapping(options, mirror)
        builder = ImageBuilder(Cache.at(options["cache"]), image_options, options["name"] or image_options.suite.name)
        if options["state"] == "absent":
            changed = builder.is_built() if check_mode else builder.remove()
            return {"changed": changed, **_place(builder)}
        if check_mode and not builder.is_built():
            return {"changed": True, **_place(builder)}
        image, built = _build(builder, options)
        return {"changed": built, **_place(builder), **_content(image)}


def _build(builder: ImageBuilder, options: dict[str, t.Any]) -> tuple[TestImage, bool]:
    say = Display().display
    if os.geteuid() == 0 or builder.is_built():
        return builder.build(say, options["timeout"])
    build_as_root.build(builder, options, say, options["timeout"])
    return builder.build(say, options["timeout"])[0], True


def _place(builder: ImageBuilder) -> dict[str, t.Any]:
    target = builder.target()
    return {"path": str(target), "key": target.name.rpartition("-")[2]} if target else {}


def _content(image: TestImage) -> dict[str, t.Any]:
    return {"kernels": list(image.kernels), "seconds": round(image.seconds, 1)}
