# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boot_policy accepts and refuses, against boots of hosts that hold exactly the files that it writes.

The boot is what counts: an accepted policy must have given each claimed device to its driver in every boot that was recorded.
"""

from __future__ import annotations

import enum
import posixpath
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import generator
from comparison import Comparison
from config_builder import Case
from configuration import DRACUT, SERIES, Configuration
from forked import alike, in_processes
from host_trees import likeness
from policy_generator import NAME
from targets import TARGETS, Target

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.boot_policy import prepare
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import STRATEGIES, Claim, Strategy
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.off_word import ARGUMENT, OFF_WORD, is_install_command
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector
from ansible_collections.vfio.variants.plugins.module_utils._core.policy import texts
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.facts import PolicyFacts
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.outcome import Outcome, check, outcomes
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.plan import PolicyPlan
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import PolicyPaths
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.request import PolicyRequest
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rule, parse

PATHS = PolicyPaths(NAME)
MODPROBE, RULES = "/modprobe.d/", "/etc/udev/rules.d/"
VFIO = ("vfio_pci", "vfio-pci")
TAKEN = {"in_use": "ignore"}
"""The machine's virtual functions are there to be lost."""


class Answer(enum.Enum):
    """What became of a claim on one device, and what its boots say to that."""

    WON = "accepted, and won in every boot"
    WRONG = "accepted, and lost"
    LOST = "refused, and lost in a boot"
    REFUTED = "refused as lost for certain, and won in every boot"
    RACE = "refused as a race, and won in every boot"
    UNCLEAR = "accepted with a warning"
    BUILT_IN = "taken by a built-in driver"
    NO_PLAN = "no files: the claim itself is refused"
    OTHER_FILES = "no boot of these files"
    OFF = "switched off, and as it would be without the policy"
    NOT_OFF = "switched off, and not as it would be without the policy"


@dataclass(frozen=True)
class Judged:
    """One claimed device of a case; ``text`` explains the answer."""

    case: str
    address: str
    answer: Answer
    text: str = ""


@dataclass(frozen=True)
class Planned:
    """What boot_policy makes of the claims on a host without its own files; ``refusal`` is None where it accepts them."""

    plan: PolicyPlan
    outcomes: tuple[Outcome, ...]
    refusal: str | None

    @classmethod
    def of(cls, plan: PolicyPlan, facts: PolicyFacts, boots: Sequence[Boot]) -> Planned:
        try:
            check(plan, boots, facts)
        except HostError as error:
            return cls(plan, outcomes(plan.decisions, boots, facts), str(error))
        return cls(plan, outcomes(plan.decisions, boots, facts), None)


def judge_all(comparison: Comparison, cases: Sequence[Case]) -> list[Judged]:
    """What comes of each case; those whose hosts differ in their own files alone go to one process."""
    groups = alike(cases, lambda case: likeness(case.configuration))
    results = in_processes(lambda case: judge(comparison, case), groups, comparison.parallel)
    return [judged for group in results for of_case in group for judged in of_case]


def judge(comparison: Comparison, case: Case) -> list[Judged]:
    """The claims that the case's own policy files express, planned on the same host without these files."""
    configuration = case.configuration
    claims = claims_in(configuration.root_files)
    try:
        planned = plan(comparison, without_policy(configuration), claims)
    except HostError as error:
        return [Judged(configuration.name, "", Answer.NO_PLAN, str(error))]
    deciding = _without_comments if is_off(configuration) else _without_word
    if deciding(with_policy(configuration, planned.plan)) != deciding(configuration):
        return [Judged(configuration.name, "", Answer.OTHER_FILES)]
    boots = [record.owners for record in comparison.corpus.variations(case)]
    if is_off(configuration):
        return _switched_off(comparison, configuration, planned, boots)
    return [_judged(configuration.name, planned, outcome, boots) for outcome in planned.outcomes]


def _switched_off(
    comparison: Comparison, configuration: Configuration, planned: Planned, boots: Sequence[Mapping[str, str | None]]
) -> list[Judged]:
    """Whether the claimed devices had the drivers that the host without the policy's files would have given them."""
    without = comparison.facts(switched_on(without_policy(configuration))).answers()
    found = []
    for address in {outcome.device.address for outcome in planned.outcomes}:
        possible, seen = without[address].outcomes, {owners.get(address) for owners in boots}
        text = f"seen {', '.join(sorted(map(str, seen)))}, without the policy {', '.join(map(str, possible))}"
        found.append(Judged(configuration.name, address, Answer.OFF if seen.issubset(possible) else Answer.NOT_OFF, text))
    return found


def _judged(name: str, planned: Planned, outcome: Outcome, boots: Sequence[Mapping[str, str | None]]) -> Judged:
    address = outcome.device.address
    seen = {owners.get(address) for owners in boots}
    won = seen == {outcome.driver}
    text = f"claimed for {outcome.driver}, seen {', '.join(sorted(map(str, seen)))}"
    if planned.refusal is not None and not outcome.wins:
        by_chance = outcome.driver in outcome.winner.outcomes
        answer = Answer.LOST if not won else Answer.RACE if by_chance else Answer.REFUTED
        return Judged(name, address, answer, f"{text}: {planned.refusal}")
    if outcome.is_built_in:
        return Judged(name, address, Answer.BUILT_IN, text)
    if outcome.doubts:
        return Judged(name, address, Answer.UNCLEAR, " ".join(outcome.doubts))
    return Judged(name, address, Answer.WON if won else Answer.WRONG, text)


def plan(comparison: Comparison, configuration: Configuration, claims: Sequence[Claim], name: str = NAME) -> Planned:
    """Raises HostError where the claims themselves are refused, so that there are no files."""
    with comparison.trees.folder() as folder:
        return planned_on(comparison.host(configuration, folder), claims, name)


def planned_on(host: Host, claims: Sequence[Claim], name: str) -> Planned:
    """The same on a host that is laid out."""
    made, facts, boots = prepare(host, PolicyRequest(name, claims=tuple(claims), whole_groups=False), True)
    return Planned.of(made, facts, boots)


# -- from files to claims and back


def has_policy(configuration: Configuration) -> bool:
    return any(path in configuration.root_files for path in PATHS.all)


def is_off(configuration: Configuration) -> bool:
    return ARGUMENT in configuration.cmdline


def switched_off(configuration: Configuration) -> Configuration:
    """The same host, with the word that switches the policy off."""
    return replace(configuration, name=f"{configuration.name}-off", cmdline=(*configuration.cmdline, ARGUMENT))


def switched_on(configuration: Configuration) -> Configuration:
    return replace(configuration, cmdline=tuple(word for word in configuration.cmdline if word != ARGUMENT))


def without_policy(configuration: Configuration) -> Configuration:
    root, image = (
        {path: text for path, text in files.items() if path not in PATHS.all}
        for files in (configuration.root_files, configuration.image_files)
    )
    return replace(configuration, root_files=root, image_files=image)


def with_policy(configuration: Configuration, made: PolicyPlan) -> Configuration:
    """The configuration with the planned files, and an image that was rebuilt after they were written."""
    root = dict(sorted({**without_policy(configuration).root_files, **made.policy.files}.items()))
    return with_image_rebuilt(replace(configuration, root_files=root), sorted(made.policy.modules))


def with_image_rebuilt(configuration: Configuration, modules: Sequence[str]) -> Configuration:
    """The configuration with the root's files in its image, and ``modules`` besides its own."""
    own = {path: text for path, text in configuration.image_files.items() if not is_copied(path, configuration.flow)}
    copied = {path: text for path, text in configuration.root_files.items() if is_copied(path, configuration.flow)}
    needed = [module for module in modules if module not in configuration.image_modules]
    return replace(
        configuration,
        image_files=dict(sorted({**own, **copied}.items())),
        image_modules=(*configuration.image_modules, *needed),
    )


def is_copied(path: str, flow: str) -> bool:
    """Whether a generator takes a file of the root into the image."""
    if path.startswith("/run/"):
        return False
    lists = flow == DRACUT and "/modules-load.d/" in path
    return f"{posixpath.dirname(path)}/".endswith(MODPROBE) or path.startswith(RULES) or lists


def _without_comments(configuration: Configuration) -> Configuration:
    """The same boot: no program reads the comments of our files."""
    return _without(configuration, lambda line: line.startswith("#"))


def _without_word(configuration: Configuration) -> Configuration:
    """The same boot if it has not the word that switches the policy off: what asks for the word does nothing then.

    Boots of both kinds of files have shown that; so those of before there was the word still count.
    """
    return _without(configuration, lambda line: line.startswith("#") or asks_for_word(line))


def asks_for_word(line: str) -> bool:
    """Whether a line of our files is there for the word alone."""
    directive = next(iter(ModprobeConfig.parse(line, "").directives), None)
    if directive is not None and directive.command == "install":
        return is_install_command(directive.arguments[1], directive.arguments[0])
    return f"{{{OFF_WORD}}}" in line or f'"{OFF_WORD}"' in line or f'="{texts.END}"' in line


def _without(configuration: Configuration, left_out: Callable[[str], bool]) -> Configuration:
    root, image = (
        {path: "\n".join(line for line in text.split("\n") if path not in PATHS.all or not left_out(line)) for path, text in files.items()}
        for files in (configuration.root_files, configuration.image_files)
    )
    return replace(configuration, root_files=root, image_files=image)


def claims_in(files: Mapping[str, str]) -> list[Claim]:
    """The claims that a policy's files stand for."""
    lines = ModprobeConfig.parse(files.get(PATHS.modprobe, ""), PATHS.modprobe).directives
    strategy: Strategy = "blacklist" if any(line.command == "blacklist" for line in lines) else "override"
    rules = [rule for rule in parse(files.get(PATHS.rules, ""), PATHS.rules) if rule.override]
    found = [
        Claim((_selector(rule),), str(rule.override), strategy=strategy, index=place, guards=TAKEN) for place, rule in enumerate(rules)
    ]
    for line in lines:
        if line.command == "options":
            ids = [[int(part, 16) for part in entry.split(":")] for entry in line.arguments[1][len("ids=") :].split(",")]
            selectors = tuple(Selector(f"{one[0]:04x}:{one[1]:04x}", vendor=one[0], device=one[1]) for one in ids)
            found.append(Claim(selectors, line.arguments[0], strategy="ids", index=len(found), guards=TAKEN))
    return found


def _selector(rule: Rule) -> Selector:
    keys = {(key.name, key.attribute): key.value for key in rule.keys if key.is_match}
    number = {name: int(keys["ATTR", name], 16) for name in ("vendor", "device")}
    address, code = keys.get(("KERNEL", None)), keys.get(("ATTR", "class"))
    prefix = None if code is None else code.removeprefix("0x").rstrip("*")
    return Selector(str(rule), address=address, vendor=number["vendor"], device=number["device"], class_prefix=prefix)


# -- policies to boot


def draw(comparison: Comparison, seed: int, series: Sequence[str] = SERIES) -> Case | None:
    """A drawn host with what boot_policy plans for one of its devices, accepted or not; None where it plans nothing."""
    case = generator.draw(seed, series)
    choice = random.Random(f"policy {seed}")  # noqa: S311 - a repeatable draw is wanted
    bare = without_policy(case.configuration)
    # A device that the host's own configuration is about is where a policy can lose.
    targets = [target for target in TARGETS if _is_named(target, bare)] or list(TARGETS)
    claim = _claim(choice, choice.choices(targets, [target.weight for target in targets])[0])
    try:
        made = plan(comparison, bare, [claim])
    except HostError:
        return None
    planned = with_policy(bare, made.plan)
    answer = "accepted" if made.refusal is None else "refused"
    return Case(replace(planned, name=f"policy-{seed}"), (*case.directives, f"policy: {claim.strategy}", answer))


def off(case: Case) -> Case:
    """The case again, with the policy switched off."""
    return Case(switched_off(case.configuration), (ARGUMENT, *case.directives))


def _is_named(target: Target, configuration: Configuration) -> bool:
    said = "\n".join((*configuration.cmdline, *configuration.root_files, *configuration.root_files.values())).lower()
    return any(word in said for word in (target.address, target.id, f"0x{target.device:04x}", *target.natives))


def _claim(choice: random.Random, target: Target) -> Claim:
    strategy = choice.choice(STRATEGIES)
    _module, driver = choice.choice([VFIO, VFIO, *target.variants])
    by_address = Selector(target.address, address=target.address, vendor=target.vendor, device=target.device)
    by_id = Selector(target.id, vendor=target.vendor, device=target.device)
    selector = by_id if strategy == "ids" or choice.random() < 0.5 else by_address
    return Claim((selector,), driver, strategy=strategy, guards=TAKEN)


# -- in words

LEAST = {Answer.WON: 150, Answer.LOST: 20, Answer.OFF: 15}
"""So many answers of a kind the recorded boots have to give; files that are written otherwise than then give none."""


def least(every: int) -> Mapping[Answer, int]:
    """The same where only one of so many is judged; half as many, as kinds do not come evenly."""
    return LEAST if every == 1 else {answer: max(1, number // (2 * every)) for answer, number in LEAST.items()}


def end(found: Sequence[Judged], least: Mapping[Answer, int], say: Callable[[str], None]) -> int:
    """The run's last lines and its status."""
    counts = Counter(one.answer for one in found)
    for answer in Answer:
        say(f"{counts[answer]} {answer.value}")
    wrong = [one for one in found if one.answer in (Answer.WRONG, Answer.REFUTED, Answer.NOT_OFF)]
    failed = [f"{one.case}, {one.address}: {one.answer.value}: {one.text}" for one in wrong]
    failed += [
        f"{counts[answer]} {answer.value}, not {number}: boot the policies as they are written now (--policies --record)"
        for answer, number in least.items()
        if counts[answer] < number
    ]
    for line in failed:
        say(f"FAILED: {line}")
    say(f"{counts[Answer.WON] + counts[Answer.LOST] + counts[Answer.OFF]} passed, {len(failed)} failed")
    return 1 if failed else 0
