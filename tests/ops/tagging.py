"""What AWS's tagging API returns and moto's does not: more services, and what was deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.backends import get_backend
from moto.core.resource_tagging import TaggedResource, iter_taggable_backends
from moto.rds.models import DBInstanceAutomatedBackup
from moto.resourcegroupstaggingapi import models

_OF_EC2 = {"eipalloc": "elastic-ip", "lt": "launch-template", "vpce": "vpc-endpoint"}


class _Others:
    """Types that the tagging API supports, read from moto's backends of their services."""

    def __init__(self, account: str, region: str) -> None:
        self._account, self._region = account, region

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        yield from self._of_ec2()
        for service in ("ecr", "codebuild", "apigatewayv2", "events", "rds", "efs"):
            yield from getattr(self, f"_{service}")(self._backend(service))

    def _backend(self, service: Any) -> Any:
        return get_backend(service)[self._account][self._region]

    def _made(self, arn: str, tags: dict[str, str]) -> TaggedResource:
        return TaggedResource(arn, tags, arn.split(":")[2])

    def _of_ec2(self) -> Iterator[TaggedResource]:
        ec2 = self._backend("ec2")
        for id_, tags in ec2.tags.items():
            if kind := _OF_EC2.get(id_.split("-")[0]):
                arn = f"arn:{ec2.partition}:ec2:{self._region}:{self._account}:{kind}/{id_}"
                yield self._made(arn, dict(tags))

    def _ecr(self, backend: Any) -> Iterator[TaggedResource]:
        for repository in backend.repositories.values():
            yield self._made(
                repository.arn, backend.tagger.get_tag_dict_for_resource(repository.arn)
            )

    def _codebuild(self, backend: Any) -> Iterator[TaggedResource]:
        for project in backend.codebuild_projects.values():
            tags = {tag["key"]: tag["value"] for tag in project.tags or []}
            yield self._made(project.project_metadata["arn"], tags)

    def _apigatewayv2(self, backend: Any) -> Iterator[TaggedResource]:
        for api in backend.apis.values():
            arn = f"arn:{backend.partition}:apigateway:{self._region}::/apis/{api.api_id}"
            yield self._made(arn, backend.get_tags(api.arn))

    def _events(self, backend: Any) -> Iterator[TaggedResource]:
        for bus in backend.event_buses.values():
            for rule in bus.rules.values():
                yield self._made(rule.arn, backend.tagger.get_tag_dict_for_resource(rule.arn))

    def _rds(self, backend: Any) -> Iterator[TaggedResource]:
        groups = (*backend.db_parameter_groups.values(), *backend.subnet_groups.values())
        for group in groups:
            yield self._made(group.arn, {tag["Key"]: tag["Value"] for tag in group.tags})

    def _efs(self, backend: Any) -> Iterator[TaggedResource]:
        for id_ in backend.file_systems_by_id:
            start = f"arn:{backend.partition}:elasticfilesystem:{self._region}:{self._account}"
            tags = {tag["Key"]: tag["Value"] for tag in backend.list_tags_for_resource(id_)}
            yield self._made(f"{start}:file-system/{id_}", tags)


class _Deleted:
    """``previously tagged``: what the tagging API still returns after a deletion."""

    def __init__(self, region: str, deleted: list[TaggedResource]) -> None:
        self._region, self._deleted = region, deleted

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        return (each for each in self._deleted if each.arn.split(":")[3] in ("", self._region))


def as_aws(monkeypatch: Any) -> list[TaggedResource]:
    """Completes moto's tagging API; returns the list of what was deleted, to be extended."""
    deleted: list[TaggedResource] = []

    def backends(account: str, region: str) -> Iterator[Any]:
        yield from iter_taggable_backends(account, region)
        yield _Others(account, region)
        yield _Deleted(region, deleted)

    monkeypatch.setattr(models, "iter_taggable_backends", backends)
    name = "db_instance_automated_backups_arn"
    monkeypatch.setattr(DBInstanceAutomatedBackup, name, property(_arn_of_backup), raising=False)
    return deleted


def _arn_of_backup(backup: Any) -> str:
    return backup.automated_snapshots[0].arn.replace("snapshot:rds", "auto-backup")
