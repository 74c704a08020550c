"""What a pod as ``default-editor`` may do in the bucket; it runs in the pod, as its own text.

Arguments: the name of an object, and prefixes to put it at. Prints a line of JSON per attempt: its
action, its prefix, the error's code (empty: it went through), and the call that failed. What it
puts it deletes; the bucket keeps a former version for ``artifacts.noncurrentDays``, because no role
of a profile may delete versions.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any


def main(name: str, *prefixes: str) -> None:
    """Reads, writes and lists below each prefix."""
    import boto3
    from botocore.config import Config

    # Deletes what it has put also when Kubernetes ends the pod.
    signal.signal(signal.SIGTERM, _end)
    bucket = os.environ["PIPELINE_ROOT"].removeprefix("s3://").partition("/")[0]
    config = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 2})
    s3: Any = boto3.client("s3", config=config)
    for prefix in prefixes:
        at = {"Bucket": bucket, "Key": f"{prefix}{name}"}
        listing = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": 1}
        put = ""
        try:
            put = tell("put", prefix, partial(s3.put_object, **at, Body=b"kf verify"))
            tell("get", prefix, partial(s3.get_object, **at))
            tell("list", prefix, partial(s3.list_objects_v2, **listing))
        finally:
            if not put:
                tell("delete", prefix, partial(s3.delete_object, **at))


def _end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def tell(action: str, prefix: str, call: Callable[[], Any]) -> str:
    """Makes a call and prints how it ended; returns the error's code."""
    from botocore.exceptions import BotoCoreError, ClientError

    code = operation = ""
    try:
        call()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        operation = error.operation_name
    except BotoCoreError as error:
        code = type(error).__name__
    told = {"action": action, "prefix": prefix, "code": code, "call": operation}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    main(*sys.argv[1:])
