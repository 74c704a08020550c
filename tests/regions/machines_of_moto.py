"""What ``regions/machines.json`` must be, from moto's data; as a program it writes the file.

moto has EC2's own answers (getmoto/moto, scripts/ec2_get_instance_types.py). Machines that are no
longer among them are below, from Karpenter's table of an earlier version.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from regions.machines import TABLE

_MOTO = distribution("moto")
# aws/karpenter-provider-aws v0.37.0, website/content/en/docs/reference/instance-types.md
_EARLIER = {
    "g3": {"4xlarge": [16, 1], "8xlarge": [32, 2], "16xlarge": [64, 4]},
    "g3s": {"xlarge": [4, 1]},
    "p2": {"xlarge": [4, 1], "8xlarge": [32, 8], "16xlarge": [64, 16]},
    "p3": {"2xlarge": [8, 1], "8xlarge": [32, 4], "16xlarge": [64, 8]},
}


def _gpus(machine: dict[str, Any]) -> int:
    gpus = machine.get("GpuInfo", {}).get("Gpus", [])
    return sum(each["Count"] for each in gpus if each["Manufacturer"] == "NVIDIA")


def text() -> str:
    """The file's text: JSON with one line for each family."""
    packed = Path(str(_MOTO.locate_file("moto/ec2/resources/instance_types.json.gz")))
    sizes: dict[str, dict[str, list[int]]] = defaultdict(dict, _EARLIER)
    for name, machine in json.loads(gzip.decompress(packed.read_bytes())).items():
        family, _, size = name.partition(".")
        gpus = _gpus(machine)
        if "x86_64" in machine["ProcessorInfo"]["SupportedArchitectures"] and (
            gpus or re.match("[cmr][0-9]", family)
        ):
            sizes[family][size] = [machine["VCpuInfo"]["DefaultVCpus"], gpus]
    rows = ",\n".join(
        f'  "{family}": {json.dumps(dict(sorted(sizes[family].items())))}'
        for family in sorted(sizes)
    )
    source = json.dumps(
        f"getmoto/moto {_MOTO.version}, moto/ec2/resources/instance_types.json.gz; "
        "g3, g3s, p2 and p3: aws/karpenter-provider-aws v0.37.0, "
        "website/content/en/docs/reference/instance-types.md"
    )
    return f'{{\n "source": {source},\n "machines": {{\n{rows}\n }}\n}}\n'


if __name__ == "__main__":
    TABLE.write_text(text(), "utf-8")
