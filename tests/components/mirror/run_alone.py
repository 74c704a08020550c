"""Runs a program in the folder it stands in, on the engine: what Pulumi's language host would do.

Run by ``test_wheel.py`` in an environment that has the wheel of the mirror and nothing of this
repository, so it imports nothing of it. Arguments: a folder with ``bin/pulumi``, the stack, verbs.
Prints one JSON value per verb: operation, type, name and inputs of each resource, and outputs.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

from pulumi import automation as auto


def main(cli: str, stack_name: str, *verbs: str) -> None:
    work = Path.cwd()
    sys.path.insert(0, str(work))

    def program() -> None:
        runpy.run_path(str(work / "__main__.py"), run_name="__main__")

    options = auto.LocalWorkspaceOptions(
        work_dir=str(work), pulumi_command=auto.PulumiCommand(cli, skip_version_check=True)
    )
    stack = auto.create_or_select_stack(
        stack_name, project_name="image-mirror", program=program, opts=options
    )
    for verb in verbs:
        resources: list[dict[str, Any]] = []
        problems: list[str] = []

        def watch(
            event: Any,
            resources: list[dict[str, Any]] = resources,
            problems: list[str] = problems,
        ) -> None:
            if event.resource_pre_event:
                about = event.resource_pre_event.metadata
                state = about.new or about.old
                resources.append(
                    {
                        "operation": about.op.value,
                        "type": about.type,
                        "name": about.urn.rpartition("::")[2],
                        "inputs": state.inputs if state else {},
                    }
                )
            elif event.diagnostic_event and event.diagnostic_event.severity == "error":
                problems.append(event.diagnostic_event.message)

        outputs: dict[str, Any] = {}
        try:
            result = getattr(stack, verb)(on_event=watch)
            if verb == "up":
                outputs = {name: value.value for name, value in result.outputs.items()}
        except auto.CommandError as failure:
            problems.append(str(failure)[-2000:])
        sys.stdout.write(
            json.dumps({"resources": resources, "problems": problems, "outputs": outputs}) + "\n"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
