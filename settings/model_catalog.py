"""Hub's catalog of models: its database and its sources."""

from __future__ import annotations

import json
from typing import Annotated

from settings import catalog_files
from settings import field_types as t
from settings.section import Section


class CatalogSource(Section):
    """A source of the catalog: a file of the team.

    Attributes:
        id: its name in addresses of the API.
        name: what the pages show. None: ``id``.
        file: a YAML file with the list ``models``, by its path from the project's folder.
    """

    id: t.CatalogSourceId
    name: t.CatalogSourceName | None = None
    file: t.CatalogFile


class ModelCatalogSettings(Section):
    """Hub's catalog of models, which stores in a PostgreSQL instance of its own.

    The instance has the backups, final snapshot, certificates, time of changes and rotation of the
    section ``database``.

    Attributes:
        enabled: whether there is a catalog; it costs an RDS instance by the hour. Releases before
            26.03.1 have none.
        instance_class: the class of the instance, which stores what the files of ``sources`` have.
        engine_version: the line of PostgreSQL, whose patches RDS applies in the weekly window; a
            version in full, such as 17.9, turns these off until the line is changed.
        multi_az: whether a standby runs in another zone: without this database the catalog alone
            stops, and what it stores is made from the files again.
        deletion_protection: whether removing the instance is refused, as of the database; false is
            applied by a ``pulumi up`` of its own before ``enabled`` is. Off too where
            ``kubeflow:deletionProtection`` is false.
        sources: the team's lists of models; nothing else fills the catalog, and nothing is
            downloaded.
    """

    enabled: bool = False
    instance_class: t.PostgresClass = "db.t4g.micro"
    engine_version: t.PostgresVersion = "17"
    multi_az: bool = False
    deletion_protection: bool = True
    sources: Annotated[list[CatalogSource], t.at_most(100, "a ConfigMap has them all")] = []


STORAGE_GIB = 20
"""The least that RDS has of gp3 (RDS user guide, CHAP_Storage.html); the files have 1 MiB."""


def instance_name(cluster: str) -> str:
    """The identifier of the database of a cluster's catalog."""
    return f"{cluster}-model-catalog"


def sources_yaml(settings: ModelCatalogSettings) -> str:
    """The catalog's file of its sources (kubeflow/hub v0.3.8 basecatalog/source_types.go)."""
    sources = [
        {
            "id": each.id,
            "name": each.name or each.id,
            "type": "yaml",
            "enabled": True,
            "properties": {"yamlCatalogPath": _file_name(each)},
        }
        for each in settings.sources
    ]
    # As JSON: without quotes the catalog takes texts for numbers that PyYAML does not.
    return json.dumps({"model_catalogs": sources}, ensure_ascii=False, indent=2)


def files(settings: ModelCatalogSettings) -> dict[str, str]:
    """File name -> text, of the files that ``sources_yaml`` names."""
    return {_file_name(each): catalog_files.read(each.file) for each in settings.sources}


def _file_name(source: CatalogSource) -> str:
    return f"models-{source.id}.yaml"
