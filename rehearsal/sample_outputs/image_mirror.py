"""The image mirror: registries, functions, the API in front of them, the build, its secrets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rehearsal.clouds import Invention


def _pull_through_rule(made: Invention) -> dict[str, Any]:
    return {"id": str(made.inputs.get("ecrRepositoryPrefix")), "registryId": made.account}


def _creation_template(made: Invention) -> dict[str, Any]:
    return {"id": str(made.inputs.get("prefix")), "registryId": made.account}


def _found_secret(made: Invention) -> dict[str, Any]:
    name = str(made.inputs.get("name"))
    arn = made.arn("secretsmanager", f"secret:{name}-{made.hex(6)}")
    return {"id": arn, "arn": arn, "name": name}


def _function(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    arn = made.arn("lambda", f"function:{name}")
    called = f"path/2015-03-31/functions/{arn}/invocations"
    return {
        "id": name,
        "name": name,
        "arn": arn,
        "qualifiedArn": f"{arn}:$LATEST",
        "invokeArn": made.region.arn("apigateway", called, account="lambda"),
        "version": "$LATEST",
    }


def _table(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    return {"id": name, "name": name, "arn": made.arn("dynamodb", f"table/{name}")}


def _api(made: Invention) -> dict[str, Any]:
    api = made.hex(10)
    host = f"{api}.execute-api.{made.region.name}.{made.region.dns_suffix}"
    return {
        "id": api,
        "arn": made.region.arn("apigateway", f"/apis/{api}"),
        "apiEndpoint": f"https://{host}",
        "executionArn": made.arn("execute-api", api),
    }


def _stage(made: Invention) -> dict[str, Any]:
    api, name = str(made.inputs.get("apiId")), str(made.inputs.get("name"))
    return {
        "id": name,
        "arn": made.region.arn("apigateway", f"/apis/{api}/stages/{name}"),
        "executionArn": made.arn("execute-api", f"{api}/{name}"),
    }


def _short_id(made: Invention) -> dict[str, Any]:
    return {"id": made.hex(7)}


def _project(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    arn = made.arn("codebuild", f"project/{name}")
    return {"id": arn, "name": name, "arn": arn}


def _secret(made: Invention) -> dict[str, Any]:
    name = made.physical_name()
    arn = made.arn("secretsmanager", f"secret:{name}-{made.hex(6)}")
    return {"id": arn, "name": name, "arn": arn}


def _secret_version(made: Invention) -> dict[str, Any]:
    version = made.hex(32)
    arn = str(made.inputs.get("secretId"))
    return {"id": f"{arn}|{version}", "arn": arn, "versionId": version}


def _generated_secret(made: Invention) -> dict[str, Any]:
    length = int(made.inputs["length"])
    drawn = replace(made, name=f"{made.name}{made.inputs.get('generation', '')}")
    # A replacement has another id too; the id is unrelated to the value.
    identity = replace(drawn, name=f"{drawn.name} of {length}")
    return {"id": identity.hex(16), "value": drawn.hex(length)}


def _serving_certificate(made: Invention) -> dict[str, Any]:
    texts = ("authority", "certificate", "key", "authorityKey")
    return {
        **{text: f"simulated {text} {made.hex(24)}" for text in texts},
        "ends": "2099-01-01T00:00:00+00:00",
    }


OUTPUTS = {
    "pulumi-python:dynamic:ServingCertificate": _serving_certificate,
    "pulumi-python:dynamic:GeneratedSecret": _generated_secret,
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": _pull_through_rule,
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": _creation_template,
    "aws:lambda/function:Function": _function,
    "aws:dynamodb/table:Table": _table,
    "aws:apigatewayv2/api:Api": _api,
    "aws:apigatewayv2/stage:Stage": _stage,
    "aws:apigatewayv2/integration:Integration": _short_id,
    "aws:apigatewayv2/route:Route": _short_id,
    "aws:codebuild/project:Project": _project,
    "aws:secretsmanager/secret:Secret": _secret,
    "aws:secretsmanager/secretVersion:SecretVersion": _secret_version,
}

INVOKES = {"aws:secretsmanager/getSecret:getSecret": _found_secret}
