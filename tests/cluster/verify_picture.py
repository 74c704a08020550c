"""Draws a run of ``./kf verify`` as a terminal shows it, into ``docs/pictures/verify.svg``.

The API server is real, with Karpenter's CRDs, the stack's pool and two pods that wait: one for more
GPUs than any machine has, one for an image that its registry has not; what the kubelet would write
is played.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import tempfile
import termios
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from rich.style import Style
from rich.text import Text

from rehearsal.pictures.canvas import EDGE, INK, SMALLEST, Canvas, Language
from rendering import Object
from terminal.output import messages
from tests.cluster.api_server import VERSIONS, kube_apiserver
from tests.cluster.installation import Installation, installation
from tests.cluster.platform import platform, stack_on

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "pictures" / "verify.svg"
ONLY = "running"
"""The checks that need nothing but an API server."""
COLUMNS = 66
_SIGN = 0.602 * SMALLEST
"""The width of a sign of a monospaced font."""
_COLOURS = {1: "#a40e26", 2: "#0b5d2a", 3: "#7a5200", 5: "#7a1f8a"}
"""Of a terminal's numbers, dark enough on white."""


def main() -> None:
    """Needs etcd and a kube-apiserver, which is built if it is not there."""
    version = max(VERSIONS)
    stack = stack_on(version)
    whole = platform(stack)
    with tempfile.TemporaryDirectory() as folder:
        program = kube_apiserver(version, messages.print)
        with installation(program, Path(folder)) as made:
            made.crds([crd for crd in whole.crds if "karpenter" in crd["spec"]["group"]])
            made.apply_all(obj for key, obj in whole.objects.items() if key.kind == "NodePool")
            _pods(made)
            kubeconfig = Path(folder) / "kubeconfig"
            kubeconfig.write_text(json.dumps(made.cluster.kubeconfig))
            command = f"./kf verify --stack {stack} --only {ONLY}"
            shown = in_terminal(command.split(), kubeconfig)
    PICTURE.write_text(drawn(command, shown), "utf-8")
    messages.print(f"wrote {PICTURE.relative_to(ROOT)}")


def _pods(made: Installation) -> None:
    made.cluster.create(_pod("train-large", "registry.example/train:1", gpus=16))
    notebook = _pod("notebook-0", "quay.io/team/notebook:2026", gpus=0)
    made.cluster.create(notebook)
    # kubelet's pkg/kubelet/images/image_manager.go, with containerd's answer.
    message = (
        'Back-off pulling image "quay.io/team/notebook:2026": ErrImagePull: '
        "quay.io/team/notebook:2026: not found"
    )
    waiting = {"reason": "ImagePullBackOff", "message": message}
    status = {
        "phase": "Pending",
        "containerStatuses": [
            {
                **{"name": "main", "image": "quay.io/team/notebook:2026", "imageID": ""},
                **{"ready": False, "restartCount": 0, "state": {"waiting": waiting}},
            }
        ],
    }
    made.cluster.patch(notebook, {"status": status}, subresource="status")


def _pod(name: str, image: str, *, gpus: int) -> Object:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    container = {"name": "main", "image": image, "resources": {"limits": limits}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container]},
    }


def in_terminal(command: list[str], kubeconfig: Path) -> str:
    """What a command prints on a terminal of ``COLUMNS``, and its last words."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, COLUMNS, 0, 0))
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("NO_COLOR", "CI") and not key.startswith("AWS_")
    }
    environment |= {
        "KUBECONFIG": str(kubeconfig),
        "TERM": "xterm-256color",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=theirs, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(theirs)
        parts: list[bytes] = []
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:
            # Linux' end of a terminal that nobody has open any more.
            pass
        last = process.stderr.read() if process.stderr else ""
    os.close(ours)
    words = [line for line in last.splitlines() if " checks, " in line]
    ends = textwrap.wrap(" ".join(words), COLUMNS)
    return "\n".join([b"".join(parts).decode().replace("\r\n", "\n").rstrip(), "", *ends])


def drawn(command: str, shown: str) -> str:
    """The lines of a terminal as SVG."""
    canvas = Canvas(Language.ENGLISH)
    title = "kf verify"
    canvas.heading(title, "On a test cluster: a real API server, two pods in trouble.")
    y = canvas.pen.y + 28
    canvas.text(EDGE + 8, y, f"$ {command}", size=SMALLEST, mono=True, bold=True)
    for line in Text.from_ansi(shown).split("\n", allow_blank=True):
        y += SMALLEST * 1.4
        for start, end, colour in _pieces(line):
            words = line.plain[start:end]
            x = EDGE + 8 + _SIGN * (start + len(words) - len(words.lstrip()))
            if words.strip():
                canvas.text(x, y, words.strip(), size=SMALLEST, mono=True, colour=colour)
    canvas.pen.y = y + 12
    return canvas.svg(title, Text.from_ansi(shown).plain)


def _pieces(line: Text) -> Iterator[tuple[int, int, str]]:
    """Begin, end and colour of each piece of a line."""
    ends = (at for span in line.spans for at in (span.start, span.end))
    for start, end in pairwise(sorted({0, len(line.plain), *ends})):
        colour = INK
        for span in line.spans:
            style = Style.parse(span.style) if isinstance(span.style, str) else span.style
            if span.start <= start < span.end and style.color:
                colour = _COLOURS.get(style.color.number or 0, colour)
        yield start, end, colour


if __name__ == "__main__":
    main()
