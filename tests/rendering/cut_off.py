"""A program that renders a release and tells what it could reach: run without a network by a test.

Usage: python -m tests.rendering.cut_off RELEASE-FOLDER HOST PORT; one JSON object on stdout.
"""

from __future__ import annotations

import errno
import json
import socket
import sys
from pathlib import Path

from rendering import render
from rendering.cache import canonical_json, sha256_of

REGISTRY = "<<image.prefix>>"


def answer(host: str, port: int) -> str:
    """``connected``, or the name of the error of the operating system."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "connected"


def main(folder: str, host: str, port: str) -> None:
    rendered = render(
        Path(folder), partition="aws-cn", dns_suffix="amazonaws.com.cn", registry=REGISTRY
    )
    report = {
        "answer": answer(host, int(port)),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "objects": len(rendered.objects),
        "crds": len(rendered.crds),
        "images": len(rendered.images),
        "digest": rendered.digest,
        "content": sha256_of(canonical_json([rendered.objects, list(rendered.crds)])),
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
