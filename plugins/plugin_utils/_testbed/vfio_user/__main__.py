# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user --socket S --log L --function FILE.json

Shows one emulated PCI function to a vfio-user client (QEMU 10.1 or newer) until SIGTERM. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.process import signal_descriptor
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.device import VfioUserDevice
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.recorder import Recorder
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.vfio_user.server import Server


def main() -> int:
    arguments = _arguments()
    # Neither is to interrupt an access half way.
    stop = signal_descriptor(signal.SIGTERM, signal.SIGINT)
    try:
        device = VfioUserDevice(PciFunction.from_json(Path(arguments.function).read_text()))
        recorder = Recorder(arguments.log)
        errors = os.open(arguments.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        server = Server(device, arguments.socket, recorder, stop)
    except (ValueError, OSError) as error:  # FunctionError is a ValueError, as is a description that is not text
        print(f"vfio-user server: {error}", file=sys.stderr)
        return 1
    _let_go_of_stdio(errors)
    server.serve()
    recorder.close()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vfio_user", description="Shows one emulated PCI function to a vfio-user client.")
    parser.add_argument("--socket", required=True, help="the unix socket to serve on; whatever is in its place is removed")
    parser.add_argument("--log", required=True, help="the access log; lines are appended")
    parser.add_argument("--function", required=True, help="the function's description, as PciFunction.to_json writes it")
    parser.add_argument("--errors", default=os.devnull, help="where stdout and stderr go once the server listens (default: nowhere)")
    return parser.parse_args()


def _let_go_of_stdio(errors: int) -> None:
    """Whoever started the server must not wait for the end of a pipe that the server inherited."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor, target in ((0, null), (1, errors), (2, errors)):
        os.dup2(target, descriptor)
    os.close(null)
    os.close(errors)


if __name__ == "__main__":
    sys.exit(main())
