"""The entry of the policy pack: the engine starts it by ``python -m pulumi.policy``."""

import sys
from pathlib import Path

# Pulumi runs this file with the pack's own folder in front, from which `policies` is no package.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policies.pack import serve

if __name__ == "__main__":
    serve()
