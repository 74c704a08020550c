"""What ``regions/offers.json`` must be, from cfn-lint's data; as a program it writes the file.

cfn-lint takes the instance types of each region from AWS's price lists, and the versions from RDS
(aws-cloudformation/cfn-lint, src/cfnlint/maintenance.py and scripts/).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from regions.offers import TABLE

_SCHEMAS = Path(str(distribution("cfn-lint").locate_file("cfnlint/data/schemas")))


def _read(name: str) -> Any:
    return json.loads((_SCHEMAS / f"{name}.json").read_text("utf-8"))


def _of_engine(engine: str, schema: Mapping[str, Any], wanted: str) -> Iterator[str]:
    """The values that a schema lists for the property of an instance of that engine."""
    for case in schema["allOf"]:
        if case["if"]["properties"].get("Engine", {}).get("const") == engine:
            yield from case["then"]["properties"][wanted]["enum"]


def _by_family(types: Mapping[str, Iterable[str]]) -> dict[str, dict[str, str]]:
    """Family -> its sizes -> the regions that have exactly these sizes of it."""
    grouped: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for region, names in sorted(types.items()):
        sizes: dict[str, set[str]] = defaultdict(set)
        for name in names:
            family, _, size = name.removeprefix("db.").partition(".")
            sizes[family].add(size)
        for family, of_family in sizes.items():
            grouped[family][" ".join(sorted(of_family))].append(region)
    return {
        family: {sizes: " ".join(grouped[family][sizes]) for sizes in sorted(grouped[family])}
        for family in sorted(grouped)
    }


def text() -> str:
    """The file's text: JSON with one line for each family and set of sizes."""
    instances = _read("extensions/aws_ec2_instance/instancetype_enum")
    databases = _read("extensions/aws_rds_dbinstance/dbinstanceclass_enum")
    schema = _read("extensions/aws_rds_dbinstance/engine_version")
    versions = set(_of_engine("mysql", schema, "EngineVersion"))
    postgres = set(_of_engine("postgres", schema, "EngineVersion"))
    regions = instances.keys() & databases.keys() - {"all"}
    table = {
        "date": _read("version")["schema_date"][:10],
        "source": f"aws-cloudformation/cfn-lint {distribution('cfn-lint').version}, "
        "src/cfnlint/data/schemas/extensions: aws_ec2_instance, aws_rds_dbinstance",
        "mysql": " ".join(sorted(each for each in versions if each.startswith("8."))),
        # Without the lines themselves, which are no versions (18, 17).
        "postgres": " ".join(sorted(each for each in postgres if re.match(r"1[7-9]\.", each))),
        "instances": _by_family(
            {r: instances[r]["enum"] for r in regions if "enum" in instances[r]}
        ),
        **{
            kind: _by_family(
                {
                    r: _of_engine(engine, databases[r], "DBInstanceClass")
                    for r in regions
                    if "allOf" in databases[r]
                }
            )
            for kind, engine in (("databases", "mysql"), ("postgresDatabases", "postgres"))
        },
    }
    return f"{json.dumps(table, indent=1)}\n"


if __name__ == "__main__":
    TABLE.write_text(text(), "utf-8")
