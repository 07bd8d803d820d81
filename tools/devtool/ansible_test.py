# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-test needs in order to work from package registries alone.

It fetches a script that installs pip from a web site of its own, forgets most environment variables (pip's and the
proxy's among them), and keeps its caches in the home directory. So it gets a home of its own, with a stand-in for that
script and with pip's settings written down.
"""

from __future__ import annotations

import ast
import configparser
import os
import shutil
from pathlib import Path

from devtool.checkout import Checkout
from devtool.environment import Environment
from devtool.process import capture
from devtool.variables import variables

# What the versions of ansible-core in requirements/main.txt ask for.
PIP_VERSIONS = ("24.2", "25.2")
STAND_IN = Path(__file__).with_name("pip_stand_in.py")


def ansible_test_variables(checkout: Checkout, environment: Environment) -> dict[str, str]:
    """Variables under which ansible-test works."""
    home = checkout.cache / "home"
    scripts = home / ".ansible" / "test" / "cache"
    scripts.mkdir(parents=True, exist_ok=True)
    for version in PIP_VERSIONS:
        shutil.copyfile(STAND_IN, scripts / f"get_pip_{version.replace('.', '_')}.py")
    _write_pip_settings(environment, home / ".config" / "pip" / "pip.conf")
    return variables(checkout, environment) | {"HOME": str(home)}


def pip_settings(listing: str) -> dict[str, str]:
    """The global settings in what `pip config list` prints; the environment wins over files, as in pip."""
    found: dict[str, str] = {}
    from_environment: dict[str, str] = {}
    for line in listing.splitlines():
        name, separator, value = line.partition("=")
        if not separator:
            continue
        section, option = name.split(".", 1)
        if section in ("global", "install"):
            found[option] = ast.literal_eval(value)
        elif section == ":env:":
            from_environment[option] = ast.literal_eval(value)
    return found | from_environment


def _write_pip_settings(environment: Environment, path: Path) -> None:
    settings = pip_settings(capture([environment.program("python"), "-m", "pip", "config", "list"], cwd=Path("/")))
    for option, names in (("cert", ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")), ("proxy", ("HTTPS_PROXY", "https_proxy"))):
        given = next((os.environ[name] for name in names if os.environ.get(name)), None)
        if given and option not in settings:
            settings[option] = given
    parser = configparser.RawConfigParser()
    # Its downloads would fill the log.
    parser["global"] = {**settings, "quiet": "1", "progress-bar": "off"}
    path.parent.mkdir(parents=True, exist_ok=True)
    # An index may carry a password.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        parser.write(file)
