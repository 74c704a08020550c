"""The guard of a build, let into the registries of a test and nowhere else.

``python3`` of a build machine runs this in place of the guard, over the guard's text as the machine
has it: a test has no public address and no certificate that anybody trusts. What is not listed in
the machine's file of sources is connected to by the guard's own function, with all it refuses.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

from components.mirror import guard
from components.mirror.source_rules import Bounds

SOURCES = "sources.json"
"""``{"connect": {"host:port": port on 127.0.0.1}, "bounds": {...}}``, in the machine's folder."""


def main() -> None:
    given = json.loads((Path(os.environ["MACHINE"]) / SOURCES).read_text())

    def connect(host: str, port: int, watch: guard.Watch, seconds: float) -> socket.socket:
        admitted = given["connect"].get(f"{host}:{port}")
        if admitted is None:
            return guard.connected(host, port, watch, seconds)
        return socket.create_connection(("127.0.0.1", admitted), timeout=seconds)

    guard.main(sys.argv[1:], connect, replace(Bounds(), **given["bounds"]))


if __name__ == "__main__":
    main()
