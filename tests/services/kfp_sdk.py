"""The KFP SDK in the version of release 26.03, in a virtual environment of its own.

``python -m tests.services.kfp_sdk`` installs it beforehand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from tests.services.python_packages import interpreter
from toolchain.go_programs import Say
from toolchain.tools import ToolMissing

PACKAGES = Path(__file__).with_name("kfp-sdk.txt")


def kfp_sdk(say: Say) -> Path:
    """The Python that has ``kfp``, from the cache or installed.

    Raises:
        ToolMissing: pip could not install it; with its last line.
    """
    return interpreter(PACKAGES, "the KFP SDK", say)


if __name__ == "__main__":
    _console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        kfp_sdk(_console.print)
    except ToolMissing as missing:
        _console.print(str(missing), style="red")
        sys.exit(2)
