"""The entry of the policy pack: the engine starts it by ``python -m pulumi.policy``."""

import sys
from pathlib import Path

# Pulumi runs this file with the pack's own folder in front, from which `policies` is no package.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

_LACKS = (
    "The policy pack needs pulumi_policy, which is not in .venv: run ./setup.sh, or in a .venv of "
    "your own `.venv/bin/python -m pip install --no-deps -r policies/requirements-pack.txt`."
)

try:
    from policies.pack import serve
except ModuleNotFoundError as missing:
    sys.exit(_LACKS if missing.name == "pulumi_policy" else str(missing))

if __name__ == "__main__":
    serve()
