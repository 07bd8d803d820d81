# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules, filters and roles as they are documented, and what is wrong with values that are given to them."""

from __future__ import annotations

import importlib
import json
import subprocess
import typing as t
from pathlib import Path

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "vfio.variants"
SPEC_KEYS = ("aliases", "choices", "default", "elements", "required", "type")

Options = dict[str, t.Any]


def ansible_doc(kind: str) -> dict[str, t.Any]:
    names = [f"{COLLECTION}.{path.stem}" for path in sorted((ROOT / "plugins" / kind).glob("*.py"))]
    kind = {"modules": "module"}.get(kind, kind)
    ran = subprocess.run(["ansible-doc", "--json", "--type", kind, *names], capture_output=True, check=True, timeout=120)
    documented: dict[str, t.Any] = json.loads(ran.stdout)
    return documented


MODULES = ansible_doc("modules")
FILTERS = ansible_doc("filter")
ROLES: dict[str, Options] = {
    path.parts[-3]: yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml"))
}


def specification(options: Options) -> Options:
    """Documented options as Ansible's own validation takes them; validate-modules holds them equal to the module's."""
    return {
        name: {key: option[key] for key in SPEC_KEYS if key in option} | {"options": specification(option["suboptions"])}
        if "suboptions" in option
        else {key: option[key] for key in (*SPEC_KEYS, "options") if key in option}
        for name, option in options.items()
    }


def partly(options: Options) -> Options:
    return {name: {**option, "required": False} for name, option in options.items()}


def refusals(specified: Options, given: dict[str, t.Any]) -> list[str]:
    # A template may become anything: whether the option exists is all there is to say about it.
    told = {name: value for name, value in given.items() if "{{" not in str(value)}
    validator = ArgumentSpecValidator(specified)
    unknown = sorted(given.keys() - specified.keys() - {alias for option in specified.values() for alias in option.get("aliases", ())})
    templated = [f"missing required arguments: {name}" for name in given.keys() - told.keys()]
    found = [message for message in validator.validate(told).error_messages if message not in templated]
    return [*found, *(f"there is no option {name}" for name in unknown)]


def module_refusals(name: str, given: dict[str, t.Any]) -> list[str]:
    """Those of the specification, and where the values are plain ones that of the module's own reading of them, such as of a selector."""
    found = refusals(specification(MODULES[name]["doc"].get("options", {})), given)
    code = importlib.import_module(f"ansible_collections.{COLLECTION}.plugins.modules.{name.rpartition('.')[2]}")
    # What an action plugin adds is not in an example.
    added = any(option.startswith("_") for option in getattr(code, "ARGUMENTS", ()))
    if found or added or "{{" in str(given) or not hasattr(code, "request"):
        return found
    validated = ArgumentSpecValidator(code.ARGUMENTS, getattr(code, "CLAIM_EXCLUSIVE", None)).validate(given)
    if validated.error_messages:
        return list(validated.error_messages)
    try:
        code.request(validated.validated_parameters)
    except HostError as error:
        return [str(error)]
    return []


def role_refusals(role: str, given: dict[str, t.Any], *, whole: bool = False) -> list[str]:
    """Those of its specification, of which not all need be there unless it is `whole`, and of the claims as device_claim reads them."""
    options = ROLES[role]
    found = refusals(options if whole else partly(options), given)
    claims = [value for name, value in given.items() if name.endswith("_claims") and isinstance(value, list)]
    return found or [message for value in claims for message in module_refusals(f"{COLLECTION}.device_claim", {"claims": value})]
