"""AWS: the computed properties that take more than a form in ``resource_types.yaml``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from rehearsal.sample_outputs.resource import SimulatedResource


def outputs(resource: SimulatedResource) -> dict[str, Any]:
    """The computed properties of a resource, with its ``id`` where that is not its name."""
    return resource.computed() | _OUTPUTS.get(resource.type, lambda _: {})(resource)


def _function(resource: SimulatedResource) -> dict[str, Any]:
    arn = resource.arn("lambda", f"function:{resource.physical_name}")
    path = f"path/2015-03-31/functions/{arn}/invocations"
    return {"invokeArn": resource.region.arn("apigateway", path, account="lambda")}


def _key(resource: SimulatedResource) -> dict[str, Any]:
    digits = resource.hex(32)
    key = "-".join(digits[start:end] for start, end in pairwise((0, 8, 12, 16, 20, 32)))
    return {"id": key, "keyId": key, "arn": resource.arn("kms", f"key/{key}")}


def _launch_template(resource: SimulatedResource) -> dict[str, Any]:
    # Another content is another version: whatever uses the newest one changes with it.
    content = json.dumps(resource.inputs, sort_keys=True, default=str)
    digits = hashlib.sha256(content.encode()).hexdigest()[:4]
    return {"latestVersion": int(digits, 16) + 1}


def _oidc_provider(resource: SimulatedResource) -> dict[str, Any]:
    issuer = str(resource.inputs.get("url", "")).removeprefix("https://")
    arn = resource.arn("iam", f"oidc-provider/{issuer}")
    return {"id": arn, "arn": arn}


def _queue(resource: SimulatedResource) -> dict[str, Any]:
    host = resource.region.service_host("sqs")
    url = f"https://{host}/{resource.account}/{resource.physical_name}"
    return {"id": url, "url": url}


_OUTPUTS: dict[str, Callable[[SimulatedResource], dict[str, Any]]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _oidc_provider,
    "aws:kms/key:Key": _key,
    "aws:lambda/function:Function": _function,
    "aws:rds/instance:Instance": lambda db: {"port": db.inputs.get("port", 3306)},
    "aws:sqs/queue:Queue": _queue,
}

INVOKES: dict[str, Callable[[SimulatedResource], dict[str, Any]]] = {
    "aws:cloudwatch/getLogGroups:getLogGroups": lambda _: {"arns": [], "logGroupNames": []},
    "aws:index/getAvailabilityZones:getAvailabilityZones": lambda call: {
        "names": [f"{call.region.name}{letter}" for letter in "abc"],
    },
    "aws:ec2/getVpcEndpointService:getVpcEndpointService": lambda call: {
        "availabilityZones": [f"{call.region.name}{letter}" for letter in "abc"],
    },
    "aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider": _oidc_provider,
    "aws:index/getCallerIdentity:getCallerIdentity": outputs,
    "aws:rds/getInstances:getInstances": lambda _: {"instanceIdentifiers": []},
    "aws:secretsmanager/getSecret:getSecret": outputs,
}
"""Data source -> its result."""
