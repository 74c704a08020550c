"""Files of models: what Hub's catalog would refuse is refused before it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering.kubernetes_yaml import Loader
from settings import Settings, SettingsError, catalog_files
from settings.model_catalog import files, sources_yaml
from settings.stack_settings import from_mapping

MODEL: dict[str, Any] = {"name": "line", "artifacts": [{"uri": "s3://bucket/line"}]}


def written(folder: Path, *models: dict[str, Any], **more: Any) -> str:
    file = folder / "models.yaml"
    file.write_text(yaml.safe_dump({**more, "models": list(models)}))
    return str(file)


@pytest.mark.parametrize(
    ("models", "more", "reason"),
    [
        ([{**MODEL, "descripton": "-"}], {}, "model line has the key descripton, .*: use descript"),
        ([{**MODEL, "zzz": "-"}], {}, "model line has the key zzz, which the .*: remove it"),
        ([MODEL], {"sources": "-"}, "the file has the key sources, .*: use source"),
        ([MODEL, MODEL], {}, "model line is in it twice: remove one"),
        ([MODEL, {"description": "-"}], {}, r"models\[1\] has no name: add one"),
        ([{"name": 7}], {}, r"models\[0\] has no name: add one"),
        ([], {}, "it has no list `models`"),
        ([{"name": "a", "artifacts": [{"uri": "bucket/a"}]}], {}, "model a has no uri that begins"),
        ([{"name": "a", "artifacts": [{"name": "b"}]}], {}, "one of oci:, http:, .*, file:: write"),
    ],
)
def test_a_file_that_the_catalog_would_refuse(
    models: list[dict[str, Any]], more: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=reason):
        catalog_files.read(written(tmp_path, *models, **more))


def test_a_file_with_metrics_and_every_field_is_taken_as_it_is(tmp_path: Path) -> None:
    metrics = {"artifactType": "metrics-artifact", "metricsType": "accuracy-metrics"}
    path = written(tmp_path, {**MODEL, "artifacts": [*MODEL["artifacts"], metrics]}, source="Team")
    assert catalog_files.read(path) == Path(path).read_text()


def of(*sources: dict[str, str]) -> Settings:
    return from_mapping({"region": "cn-north-1", "modelCatalog": {"sources": list(sources)}})


def test_the_list_of_sources_names_the_files_beside_it(tmp_path: Path) -> None:
    path = written(tmp_path, MODEL)
    catalog = of({"id": "a", "file": path}, {"id": "b", "name": "团队", "file": path}).model_catalog
    listed = yaml.safe_load(sources_yaml(catalog))["model_catalogs"]
    assert [(each["id"], each["name"], each["type"]) for each in listed] == [
        ("a", "a", "yaml"),
        ("b", "团队", "yaml"),
    ]
    named = {each["properties"]["yamlCatalogPath"] for each in listed}
    assert files(catalog) == dict.fromkeys(named, Path(path).read_text())
    assert yaml.safe_load(sources_yaml(of().model_catalog)) == {"model_catalogs": []}


def test_the_catalog_reads_every_id_and_name_as_a_text(tmp_path: Path) -> None:
    path = written(tmp_path, MODEL)
    names = ["1e3", "089", "y", "true", "1_000", "2024-01-01"]
    catalog = of(*({"id": f"s{i}", "name": n, "file": path} for i, n in enumerate(names)))
    text = sources_yaml(catalog.model_catalog)
    listed = yaml.load(text, Loader=Loader)["model_catalogs"]  # noqa: S506 a safe one
    assert [each["name"] for each in listed] == names


def test_all_files_together_are_one_object(tmp_path: Path) -> None:
    path = written(tmp_path, {**MODEL, "readme": "x" * (catalog_files.MOST_BYTES // 2)})
    of({"id": "a", "file": path})
    with pytest.raises(SettingsError) as refused:
        of({"id": "a", "file": path}, {"id": "b", "file": path})
    assert "sources[1].file" in str(refused.value)
    assert "with those before it the files have more than 900 KiB" in str(refused.value)
