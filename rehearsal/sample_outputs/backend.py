"""What the bucket, the database and the generated secrets answer."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from rehearsal.clouds import Invention, Outputs


def _bucket(made: Invention) -> dict[str, Any]:
    name = made.physical_name("bucket")
    region = made.region
    return {
        "id": name,
        "bucket": name,
        "arn": region.arn("s3", name, region=""),
        "bucketDomainName": f"{name}.s3.{region.dns_suffix}",
        "bucketRegionalDomainName": f"{name}.{region.service_host('s3')}",
        "region": region.name,
    }


def _of_bucket(made: Invention) -> dict[str, Any]:
    return {"id": made.inputs.get("bucket", "")}


def _instance(made: Invention) -> dict[str, Any]:
    name = made.physical_name("identifier")
    host = f"{name}.{made.hex(12)}.{made.region.name}.rds.{made.region.dns_suffix}"
    port = made.inputs.get("port", 3306)
    return {
        "id": f"db-{made.hex(26).upper()}",
        "identifier": name,
        "address": host,
        "endpoint": f"{host}:{port}",
        "port": port,
        "arn": made.arn("rds", f"db:{name}"),
        "status": "available",
    }


def _named(kind: str) -> Outputs:
    def invented(made: Invention) -> dict[str, Any]:
        name = made.physical_name().lower()
        return {"id": name, "name": name, "arn": made.arn("rds", f"{kind}:{name}")}

    return invented


def _ingress(made: Invention) -> dict[str, Any]:
    rule = f"sgr-{made.hex(17)}"
    return {
        "id": rule,
        "securityGroupRuleId": rule,
        "arn": made.arn("ec2", f"security-group-rule/{rule}"),
    }


def _user_policy(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    return {"id": f"{made.inputs.get('user', '')}:{name}", "name": name}


def _role_policy(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    return {"id": f"{made.inputs.get('role', '')}:{name}", "name": name}


def _hash(made: Invention) -> dict[str, Any]:
    salted = replace(made, name=f"{made.name} {made.inputs.get('password')}")
    return {"value": f"$2b$12$simulated{salted.hex(44)}"}


def _authorities(made: Invention) -> dict[str, Any]:
    body = base64.b64encode(f"no certificate of {made.region.name} {made.hex(48)}".encode())
    begin, end = (f"-----{which} CERTIFICATE-----" for which in ("BEGIN", "END"))
    return {"id": made.inputs["url"], "pem": f"{begin}\n{body.decode()}\n{end}\n"}


OUTPUTS: dict[str, Outputs] = {
    "aws:s3/bucket:Bucket": _bucket,
    "aws:s3/bucketPolicy:BucketPolicy": _of_bucket,
    "aws:s3/bucketVersioning:BucketVersioning": _of_bucket,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _of_bucket,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _of_bucket,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _of_bucket,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        _of_bucket
    ),
    "aws:rds/instance:Instance": _instance,
    "aws:rds/subnetGroup:SubnetGroup": _named("subgrp"),
    "aws:rds/parameterGroup:ParameterGroup": _named("pg"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress,
    "aws:iam/userPolicy:UserPolicy": _user_policy,
    "aws:iam/rolePolicy:RolePolicy": _role_policy,
    "pulumi-python:dynamic:BcryptHash": _hash,
    "pulumi-python:dynamic:DatabaseAuthorities": _authorities,
}
