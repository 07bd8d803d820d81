# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebuild an initramfs: the present one is replaced, atomically, only by one that has been read and matches the policy.

What boots may be made of it by others: a copy, or a unified kernel image.  They make it again, by the loader's hooks or by
kernel-install, and if that does not match the policy, once more from the image before.
"""

from __future__ import annotations

import contextlib
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_plan import KernelPlan, kept_name
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import kernel_install
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.cmdline_way import is_copied_by_kernel_install
from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import ANY_CODE, TIMED_OUT
from ansible_collections.vfio.variants.plugins.module_utils._core.host.durable import NotDurableError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.interruption import uninterrupted
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Journal
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import IMAGES
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import Generator

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import Completed
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

# Debian kernel handbook, "Update hooks": they copy an image to where the boot loader finds it.
LOADER_HOOKS = "/etc/initramfs/post-update.d"
# At the least: that of Debian's package systemd-boot runs kernel-install, which runs dkms, depmod and ukify.
LOADER_TIMEOUT = 300
COMMAND_TIMEOUT = 60
GROWTH = 1.2
SPARE_BYTES = 8 << 20
LOG_LINES = 20


def rebuild(host: Host, generator: Generator, plan: KernelPlan, remaining: t.Callable[[str], tuple[str, ...]], timeout: float) -> None:
    """Build a kernel's image beside the old one, read it, and replace the old one.

    ``remaining`` reads an image and returns its differences from the policy.  Raises HostError, with the last lines of the
    build's output in ``facts["log"]``; the old image is unchanged then.
    """
    if plan.is_unified and plan.source is None:
        _unify(host, plan, remaining, timeout)
        return
    generator.refuse_own_machine(host)
    _check_space(host, plan.built)
    with host.directory_for_commands() as directory:
        # The generator of a run that was killed may still be writing to its file: each run has a name of its own.
        new = f"{plan.built}.vfio-variants-new-{directory.rpartition('-')[2]}"
        kept, follows = kept_name(plan.built), bool(_hooks(host)) or plan.source is not None
        journal = Journal(host, f"{IMAGES}{plan.release}")
        is_settled = True
        try:
            journal.write({"release": plan.release, "image": plan.built, "new": new, "kept": kept, "hooks": follows})
            _build(host, generator, plan, (new, directory), remaining, timeout)
        except NotDurableError:
            # With what follows, the image before is in its place again.
            is_settled = follows or host.is_file(new) or not host.is_file(plan.built)
            raise
        finally:
            with uninterrupted():
                if host.is_file(new):
                    host.remove(new)
                # The next run synchronizes the directory.
                if is_settled and not host.is_file(kept):
                    journal.close()


def _build(
    host: Host,
    generator: Generator,
    plan: KernelPlan,
    places: tuple[str, str],
    remaining: t.Callable[[str], tuple[str, ...]],
    timeout: float,
) -> None:
    """``places`` are the new image's file and the generator's directory."""
    new, directory = places
    output = _generate(host, generator, plan, new, directory, timeout)
    wrong = remaining(new)
    if wrong:
        raise HostError(
            f"The image that {generator.name} built for kernel {plan.release} does not match the policy: {' '.join(wrong)}",
            f"{plan.built} is unchanged. Run boot_policy, which configures {generator.name}; `log` has the last lines of its output.",
            {"log": output},
        )
    host.run(["sync", host.argument(new)], COMMAND_TIMEOUT)
    _put_in_place(host, plan, new, remaining, timeout)


def _generate(host: Host, generator: Generator, plan: KernelPlan, target: str, directory: str, timeout: float) -> list[str]:
    # What a killed generator leaves behind is removed with the directory.
    environment = {"TMPDIR": directory, "NO_POST_UPDATE_HOOKS": "1"}
    done = host.run(generator.argv(host, plan.release, plan.built, host.argument(target)), timeout, ok=ANY_CODE, env=environment)
    log = _last_lines(done)
    if done.rc in TIMED_OUT:
        raise _failed(generator, plan, f"did not finish within {timeout:g} s", "Increase the option timeout.", log)
    if done.rc != 0 or not host.is_file(target):
        last = log[-1] if log else "no output"
        raise _failed(generator, plan, f"failed with exit code {done.rc}: {last}", "`log` has its last lines.", log)
    return log


def _failed(generator: Generator, plan: KernelPlan, what: str, hint: str, log: list[str]) -> HostError:
    return HostError(
        f"{generator.command} for kernel {plan.release} {what.rstrip('.')}.", f"{plan.built} is unchanged. {hint}", {"log": log}
    )


def _last_lines(done: Completed) -> list[str]:
    return f"{done.stdout.rstrip()}\n{done.stderr.rstrip()}".strip().splitlines()[-LOG_LINES:]


def _check_space(host: Host, image: str) -> None:
    folder = image.rpartition("/")[0]
    if not host.is_dir(folder):
        raise HostError(f"{image} cannot be built: {folder} does not exist.", "Is its file system mounted?")
    answer = host.run(["stat", "--file-system", "--format=%S %f", host.argument(folder)], COMMAND_TIMEOUT).stdout.split()
    free = int(answer[0]) * int(answer[1])
    sizes = [status.st_size for status in (host.stat(path) for path in _images_like(host, image)) if status is not None]
    needed = int(max(sizes, default=0) * GROWTH) + SPARE_BYTES
    if free < needed:
        raise HostError(
            f"{image} cannot be built beside the old one: {folder} has {free >> 20} MiB free and about {needed >> 20} MiB are needed.",
            "Remove kernels that are no longer used.",
        )


def _images_like(host: Host, image: str) -> list[str]:
    if host.is_file(image):
        return [image]
    folder = image.rpartition("/")[0]
    return [f"{folder}/{name}" for name in host.names(folder) if name.startswith("init")]


def _put_in_place(host: Host, plan: KernelPlan, new: str, remaining: t.Callable[[str], tuple[str, ...]], timeout: float) -> None:
    kept = kept_name(plan.built)
    if not _hooks(host) and plan.source is None:
        try:
            host.rename(new, plan.built)
        except NotDurableError as error:
            raise NotDurableError(f"{plan.built} was replaced by one that matches the policy. {error.msg}", error.hint) from error
        _forget(host, kept)
        return
    had = host.is_file(plan.built)
    if had:
        _keep(host, plan.built, kept)
    try:
        host.rename(new, plan.built)
        _run_loader_hooks(host, plan, (0,), timeout)
        _follow(host, plan, remaining, timeout)
    except BaseException:
        with uninterrupted():
            if had:
                with contextlib.suppress(NotDurableError):
                    host.rename(kept, plan.built)
                _run_loader_hooks(host, plan, ANY_CODE, timeout)
                _follow(host, plan, None, timeout)
            else:
                host.remove(plan.built)
        raise
    _forget(host, kept)


def _follow(host: Host, plan: KernelPlan, remaining: t.Callable[[str], tuple[str, ...]] | None, timeout: float) -> None:
    """See to it that what boots is made of the new image; without ``remaining`` of the one before.

    Raises HostError if what boots does not match the policy then.
    """
    if plan.source is None or (remaining is not None and not remaining(_made(host, plan))):
        return
    if plan.is_unified or is_copied_by_kernel_install(host, plan.image, plan.release):
        with contextlib.nullcontext() if remaining is not None else contextlib.suppress(HostError):
            host.run(list(kernel_install.command(host, plan.release)), max(LOADER_TIMEOUT, timeout))
    _check_made(host, plan, remaining)


def _unify(host: Host, plan: KernelPlan, remaining: t.Callable[[str], tuple[str, ...]], timeout: float) -> None:
    """kernel-install's own plugins build the initramfs as well; what was there before is put back if the result does not match."""
    kept = kept_name(plan.image)
    if not host.is_file(kept):
        _check_space(host, plan.image)
        # No link: the new one is written into the file that is there.
        _copy(host, plan.image, kept)
    try:
        host.run(list(kernel_install.command(host, plan.release)), max(LOADER_TIMEOUT, timeout))
        _check_made(host, plan, remaining)
    except BaseException:
        with uninterrupted():
            made = _made(host, plan)
            with contextlib.suppress(NotDurableError):
                host.rename(kept, plan.image)
            if made != plan.image:
                host.remove(made)
        raise
    _forget(host, kept)


def _made(host: Host, plan: KernelPlan) -> str:
    """Where what boots is now: where boots are counted, kernel-install writes a new counter into a unified image's name."""
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.systemd_boot import identified

    folder, name = posixpath.split(plan.image)
    alike = [one for one in host.names(folder) if identified(one)[0] == identified(name)[0]]
    return plan.image if name in alike or not alike else f"{folder}/{alike[0]}"


def _check_made(host: Host, plan: KernelPlan, remaining: t.Callable[[str], tuple[str, ...]] | None) -> None:
    wrong = () if remaining is None else remaining(_made(host, plan))
    if wrong:
        raise HostError(
            f"{plan.image}, which boots, does not match the policy after it should have been made again: {' '.join(wrong)}",
            "The image before was put back. Run the boot loader's own program, such as `kernel-install add`, and look at what it says.",
        )


def _forget(host: Host, kept: str) -> None:
    if host.is_file(kept):
        host.remove(kept)


def _hooks(host: Host) -> tuple[str, ...]:
    return host.names(LOADER_HOOKS)


def _keep(host: Host, image: str, kept: str) -> None:
    # FAT, as on an EFI system partition, has no hard links.
    if host.run(["ln", "--force", host.argument(image), host.argument(kept)], COMMAND_TIMEOUT, ok=ANY_CODE).rc != 0:
        _copy(host, image, kept)


def _copy(host: Host, image: str, kept: str) -> None:
    host.run(["cp", "--force", "--preserve=timestamps", host.argument(image), host.argument(kept)], COMMAND_TIMEOUT)


def _run_loader_hooks(host: Host, plan: KernelPlan, ok: t.Container[int], timeout: float) -> None:
    if not _hooks(host):
        return
    host.run(["run-parts", f"--arg={plan.release}", f"--arg={plan.built}", LOADER_HOOKS], max(LOADER_TIMEOUT, timeout), ok=ok)
