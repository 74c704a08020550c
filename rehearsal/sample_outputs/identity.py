"""Who and where we are: account, partition, region, and the IAM types every component uses."""

from __future__ import annotations

from typing import Any

from rehearsal.clouds import Invention, Outputs


def _role(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    path = str(made.inputs.get("path") or "/")
    return {
        "id": name,
        "name": name,
        "arn": made.global_arn("iam", f"role{path}{name}"),
        "uniqueId": f"AROA{made.hex(17).upper()}",
    }


def _policy(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    arn = made.global_arn("iam", f"policy/{name}")
    return {"id": arn, "name": name, "arn": arn, "policyId": f"ANPA{made.hex(17).upper()}"}


def _user(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    return {"id": name, "name": name, "arn": made.global_arn("iam", f"user/{name}")}


def _access_key(made: Invention) -> dict[str, Any]:
    key = f"AKIA{made.hex(16).upper()}"
    return {"id": key, "secret": f"simulated-{made.hex(30)}"}


def _instance_profile(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    return {"id": name, "name": name, "arn": made.global_arn("iam", f"instance-profile/{name}")}


def _oidc_provider(made: Invention) -> dict[str, Any]:
    issuer = str(made.inputs.get("url", "")).removeprefix("https://")
    arn = made.global_arn("iam", f"oidc-provider/{issuer}")
    return {"id": arn, "arn": arn, "thumbprintLists": []}


OUTPUTS: dict[str, Outputs] = {
    "aws:iam/role:Role": _role,
    "aws:iam/policy:Policy": _policy,
    "aws:iam/user:User": _user,
    "aws:iam/accessKey:AccessKey": _access_key,
    "aws:iam/instanceProfile:InstanceProfile": _instance_profile,
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _oidc_provider,
}

INVOKES: dict[str, Outputs] = {
    "aws:index/getCallerIdentity:getCallerIdentity": lambda made: {
        "id": made.account,
        "accountId": made.account,
        "arn": made.global_arn("iam", "user/rehearsal"),
        "userId": "AIDASIMULATED",
    },
    "aws:index/getPartition:getPartition": lambda made: {
        "id": made.region.partition,
        "partition": made.region.partition,
        "dnsSuffix": made.region.dns_suffix,
        "reverseDnsPrefix": ".".join(reversed(made.region.dns_suffix.split("."))),
    },
    "aws:index/getRegion:getRegion": lambda made: {
        "id": made.region.name,
        "name": made.region.name,
        "region": made.region.name,
        "description": made.region.name,
        "endpoint": made.region.service_host("ec2"),
    },
    "aws:index/getAvailabilityZones:getAvailabilityZones": lambda made: {
        "id": made.region.name,
        "names": [f"{made.region.name}{letter}" for letter in "abc"],
        "zoneIds": [f"{made.region.name}-az{number}" for number in (1, 2, 3)],
        "groupNames": [made.region.name],
    },
}
