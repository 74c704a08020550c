"""The stand-in for the network between an API server and the cluster's Services."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.live.egress import egress

BURST = 200


def test_a_burst_of_webhooks_is_not_refused(tmp_path: Path) -> None:
    with egress(tmp_path) as network, ExitStack() as opened:
        for _ in range(BURST):
            asking = opened.enter_context(socket.socket(socket.AF_UNIX))
            asking.setblocking(False)
            asking.connect(str(network.socket))
