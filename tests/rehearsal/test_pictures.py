"""The pictures of the documentation: what they show, and that it can be read."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal.pictures import pictures
from rehearsal.pictures.canvas import GREY, Canvas, Entry, Language, width_of, wrapped
from rehearsal.pictures.facts import Facts, Row
from rehearsal.pictures.gpu_pool import measured
from rehearsal.plan import rows_of
from tests.elasticity.plots import PAGES, Measurement, pages, thinned
from tests.elasticity.plots import Row as Scenario
from tests.elasticity.report import renewed
from tests.judges.plans import PLANS, made
from tests.rehearsal.svg_layout import faults, parsed, width
from tests.releases import RELEASES
from tests.rendering.beijing import kubeflow

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs" / "pictures"
MEASURED = (ROOT / "docs" / "elasticity.md").read_text()
CHINA, PLAIN = "cn-north-1", "us-west-2"

each_plan = pytest.mark.parametrize("name", PLANS)


@cache
def rows(name: str) -> list[Row]:
    """A plan without most of Kubeflow's objects."""
    return [*rows_of(made(name).all, {})]


@cache
def drawn(name: str) -> dict[str, str]:
    return dict(pictures(rows(name), MEASURED))


def texts(svg: str) -> str:
    """All text of a picture, lines joined as they are read."""
    root = parsed(svg)
    return " ".join(each.text or "" for each in root if each.tag.endswith("}text"))


def changed(name: str, type_: str, **inputs: Any) -> list[Row]:
    """A plan in which the resources of a type have other inputs."""
    return [
        {**row, "inputs": {**row["inputs"], **inputs}} if row["type"] == type_ else row
        for row in rows(name)
    ]


# -- that they can be read ------------------------------------------------------------------------


@each_plan
def test_no_text_of_any_plan_is_clipped_crossed_or_written_over(name: str) -> None:
    assert len(drawn(name)) == 6
    assert {file: faults(svg) for file, svg in drawn(name).items() if faults(svg)} == {}


def test_the_committed_pictures_can_be_read() -> None:
    svgs = {path.name: path.read_text() for path in COMMITTED.glob("*.svg")}
    assert {"architecture.svg", "architecture.zh-CN.svg"} <= set(svgs)
    assert {name: faults(svg) for name, svg in svgs.items() if faults(svg)} == {}


def test_a_text_that_leaves_its_box_is_found() -> None:
    svg = drawn(CHINA)["architecture.svg"]
    assert "Data scientists" in svg
    assert faults(svg.replace("Data scientists", "Data scientists and many others of the company"))


def test_texts_are_at_most_as_wide_as_the_code_reckons() -> None:
    shown = {
        (each.text or "", "font-weight" in each.attrib)
        for svg in drawn(CHINA).values()
        for each in parsed(svg)
        if each.tag.endswith("}text")
    }
    assert len(shown) > 50
    assert [
        text
        for text, bold in shown
        if width(text, 16, bold=bold, mono=False) > width_of(text, 16, bold=bold) + 4
    ] == []


def test_a_bold_text_is_reckoned_a_little_wider() -> None:
    plain, bold = (width_of("Kubeflow 平台", 12, bold=each) for each in (False, True))
    assert plain < bold < plain * 1.25


@pytest.mark.parametrize("words", ["mm " * 80, "一" * 200])
def test_an_entry_holds_its_text_however_long(words: str) -> None:
    canvas = Canvas(Language.ENGLISH)
    canvas.pen.y += 20 + canvas.entry(12, 300, Entry("box", GREY, words, (words,)))
    assert faults(canvas.svg("a", "b")) == []


def test_lines_break_between_words_and_between_chinese_signs() -> None:
    assert wrapped("one two three", 60, 16) == ["one", "two", "three"]
    assert wrapped("一二三，四", 50, 16) == ["一二", "三，四"]
    assert wrapped("ghcr.io/kubeflow", 90, 16) == ["ghcr.io/", "kubeflow"]


@each_plan
def test_a_picture_refers_to_nothing_outside_and_runs_nothing(name: str) -> None:
    for svg in drawn(name).values():
        assert svg.count("http") == 1
        assert not re.search("<script|<style|<image|<foreignObject|href|url\\(", svg)
        assert "sans-serif" in svg
        assert "Noto Sans CJK SC" in svg


def test_the_chinese_pictures_show_what_the_english_ones_do() -> None:
    for english in ("architecture", "image-path", "gpu-pool"):
        one, other = (
            drawn(CHINA)[f"{english}{language.suffix}.svg"]
            for language in (Language(0), Language(1))
        )
        numbers = re.compile(r"\d[\d.,]*\d|\b\d\b")
        assert set(numbers.findall(texts(one))) == set(numbers.findall(texts(other)))
        assert re.search(r"[一-鿿]", texts(other))
        assert not re.search(r"[一-鿿]", texts(one))


# -- that they show what is planned ---------------------------------------------------------------


@each_plan
def test_the_platform_is_drawn_with_the_numbers_of_its_plan(name: str) -> None:
    facts, shown = Facts(rows(name)), texts(drawn(name)["architecture.svg"])
    assert facts.region.name in shown
    assert facts.region.partition in shown
    assert f"EKS {facts.cluster['version']}" in shown
    subnets = facts.of("aws:ec2/subnet:Subnet")
    # Those of EKS alone hold network interfaces and nothing that is drawn.
    drawn_ones = [each for each in subnets if "control-plane" not in each["name"]]
    assert drawn_ones or not subnets
    for subnet in drawn_ones:
        assert subnet["inputs"]["availabilityZone"] in shown
        assert subnet["inputs"]["cidrBlock"] in shown
    assert len(facts.zones) == len({zone.name for zone in facts.zones}) != 1
    assert facts.vpc in shown
    assert shown.count("+ NAT") == facts.nats
    assert f"{facts.nodes.desired} × {facts.nodes.machine}" in shown
    assert facts.database.machine in shown
    assert ("standby in a second zone" in shown) == facts.database.standby
    assert ("EFS" in shown) == facts.file_systems
    for component, number in facts.resources.items():
        assert f"{component} {number}" in shown
    assert f"{sum(facts.resources.values())} resources" in shown
    for pool in facts.pools[:3]:
        assert f"ool {pool.name}: 0 to" in shown


@each_plan
def test_there_is_a_border_exactly_where_copies_cross_one(name: str) -> None:
    facts = Facts(rows(name))
    crosses = facts.region.partition == "aws-cn"
    assert facts.border == crosses
    for picture in ("architecture.svg", "image-path.svg"):
        assert ("order between partitions" in texts(drawn(name)[picture])) == crosses


def test_who_copies_is_drawn_beyond_the_border() -> None:
    shown = texts(drawn(CHINA)["architecture.svg"])
    assert shown.index("order between") < shown.index("ap-southeast-1") < shown.index("CodeBuild")
    images = len(Facts(rows(CHINA)).images)
    assert images > 100
    assert f"copies of {images} images" in shown
    assert sum(map(int, re.findall(r"[a-z]\.\w+ (\d+)\b", shown))) == images


def test_images_come_straight_from_their_registries_where_nothing_copies_them() -> None:
    assert "CodeBuild" not in texts(drawn(PLAIN)["architecture.svg"])
    assert "nodes pull through NAT" in texts(drawn(PLAIN)["architecture.svg"])
    assert "webhook" not in texts(drawn(PLAIN)["image-path.svg"])
    caches = drawn("ECR pulls by itself")
    assert "first pull" in texts(caches["architecture.svg"])
    assert "pull-through cache of" in texts(caches["image-path.svg"])


def test_a_build_in_the_same_partition_needs_no_key() -> None:
    shown = drawn("copies through an API Gateway")
    assert "CodeBuild" in texts(shown["architecture.svg"])
    assert "CodeBuild in us-gov-west-1" in texts(shown["image-path.svg"])
    assert "access key" not in texts(shown["image-path.svg"])
    assert "API Gateway" in texts(shown["image-path.svg"])


def test_the_path_of_an_image_has_its_name_before_and_after() -> None:
    shown = texts(drawn(CHINA)["image-path.svg"]).replace(" ", "")
    image = "ghcr.io/kubeflow/katib/pytorch-mnist-cpu"
    registry = Facts(rows(CHINA)).registry
    assert shown.count(image) == 2
    assert f"{registry}/{image}" in shown


def test_parts_of_kubeflow_are_those_whose_deployments_are_planned() -> None:
    assert Facts(rows(CHINA)).parts == ()
    katib = {"metadata": {"name": "katib-controller", "namespace": "kubeflow"}}
    row = {
        "type": "kubernetes:apps/v1:Deployment",
        "name": "k",
        "urn": "a::b::c::k",
        "inputs": katib,
    }
    assert Facts([*rows(CHINA), row]).parts == ("Katib",)
    assert Facts([*rows(CHINA), {**row, "operation": "delete"}]).parts == ()


def test_every_part_is_found_in_the_releases() -> None:
    objects = [obj for release in RELEASES for obj in kubeflow(release).rendered.objects]
    workloads: list[Row] = [
        {
            "type": f"kubernetes:apps/v1:{obj['kind']}",
            "name": obj["metadata"]["name"],
            "urn": "a::b::c::k",
            "inputs": obj,
        }
        for obj in objects
        if obj["kind"] in ("Deployment", "StatefulSet")
    ]
    assert len(Facts(workloads).parts) == 18


def test_who_may_reach_the_api_server_is_told() -> None:
    assert "from 203.0.113.10/32" in texts(drawn(CHINA)["architecture.svg"])
    private = texts(drawn("existing VPC, private endpoint")["architecture.svg"])
    assert "203.0.113" not in private
    assert "inside the VPC" in private
    two = changed(CHINA, "eks:index:Cluster", publicAccessCidrs=["192.0.2.0/24", "198.51.100.0/24"])
    assert "from 192.0.2.0/24 +1" in texts(dict(pictures(two, MEASURED))["architecture.svg"])


# -- the GPU pool ---------------------------------------------------------------------------------


def test_the_gpu_pool_has_the_settings_of_the_plan_and_the_seconds_of_the_page() -> None:
    settings = yaml.safe_load((ROOT / "Pulumi.cn-north-1.yaml").read_text())["config"]
    pool, shown = settings["kubeflow:gpuPool"], texts(drawn(CHINA)["gpu-pool.svg"])
    assert f"more than {pool['maxGpus']} GPUs" in shown
    assert ", ".join(pool["instanceFamilies"]) in shown
    assert f"+{pool['consolidateAfter']}" in shown
    seen = measured(MEASURED)
    assert f"+{seen.claim}" in shown
    assert f"gone {seen.gone} after" in shown
    assert f"Measured {seen.date}" in shown
    assert "simulated" in shown


def test_pools_of_slices_and_of_cpus_are_called_so() -> None:
    shown = drawn("several pools")
    assert "GPU pool gpu: 0 to 32 slices" in texts(shown["architecture.svg"])
    assert "GPU pool many: 0 to 8 GPUs" in texts(shown["architecture.svg"])
    assert "Pool steps: 0 to 64 cpu spot · empty" in texts(shown["architecture.svg"])
    assert "never more than 32 slices" in texts(shown["gpu-pool.svg"])
    assert "A pod requests nvidia.com/gpu.shared" in texts(shown["gpu-pool.svg"])


def test_a_stack_without_gpus_says_so() -> None:
    assert "no GPU pool" in texts(drawn("no GPUs")["gpu-pool.svg"])


def test_a_page_without_the_measurement_is_refused() -> None:
    with pytest.raises(ValueError, match="no measurement of one-trial"):
        measured(MEASURED.replace("| one-trial |", "| first |"))


# -- the curves of the scenarios ------------------------------------------------------------------


def scenario(name: str, most: int = 64) -> Scenario:
    curve = [(0.0, 0.0), *((second / 10, float(second % most)) for second in range(1, 100))]
    cells = (name, "2000", "64 g4dn.xlarge", "334.27", "1.29 / 7.49 s (64)", "64 / 64", "44 s", "-")
    return Scenario(
        cells=cells, curves=dict.fromkeys(("pending pods", "machines", "their GPUs"), curve)
    )


def test_every_scenario_has_its_panels_on_a_page_that_can_be_read() -> None:
    names = [name for _, scenarios in PAGES.values() for name in scenarios]
    sources = [path.read_text() for path in (ROOT / "tests" / "elasticity").glob("test_*.py")]
    reported = "".join(source for source in sources if "report.add(" in source)
    written = set(re.findall(r'new_scenario\(\s*"([a-z0-9-]+)"', reported))
    assert len(written) > 7
    assert written <= set(names)
    shown = dict(pages(Measurement(date="2026-01-01", rows=[scenario(name) for name in names])))
    assert len(shown) == 2 * len(PAGES)
    assert {file: faults(svg) for file, svg in shown.items() if faults(svg)} == {}
    assert [name for name in names if not any(name in texts(svg) for svg in shown.values())] == []


def test_a_thinned_curve_has_its_peaks_and_its_end() -> None:
    steps = [(second / 100, float(second == 777)) for second in range(5000)]
    few = thinned(steps)
    assert len(few) < 400
    assert (7.77, 1.0) in few
    assert few[-1] == steps[-1]
    assert few == sorted(few)


def test_the_committed_curves_are_those_that_were_measured() -> None:
    file = COMMITTED / "elasticity.json"
    found = Measurement.model_validate_json(file.read_text()) if file.exists() else None
    expected = dict(pages(found)) if found else {}
    assert {path.name for path in COMMITTED.glob("elasticity-*.svg")} == set(expected)
    for name, svg in expected.items():
        assert (COMMITTED / name).read_text() == svg


def test_a_run_puts_its_table_date_and_pictures_into_the_page() -> None:
    rows = [scenario(name) for _, names in PAGES.values() for name in names]
    rows[0].cells = (
        "one-trial",
        "1",
        "1 g4dn.xlarge",
        "5",
        "1.26 / 2.00 s (1)",
        "1 / 8",
        "33 s",
        "-",
    )
    found = Measurement(date="2026-12-01", rows=rows)
    page = renewed(MEASURED, found, Language.ENGLISH)
    assert page.count("| one-trial |") == 1
    assert "| 2000-trials | 2000 |" in page
    assert [name for name in PAGES if f"](pictures/elasticity-{name}.svg)" not in page] == []
    seen = measured(page)
    assert (seen.claim, seen.gone, seen.date) == ("1.3 s", "33 s", "2026-12-01")
    assert renewed(page, found, Language.ENGLISH) == page
    chinese = renewed(MEASURED, found, Language.CHINESE)
    assert "(pictures/elasticity-trials.zh-CN.svg)" in chinese
    assert "2026-12-01 测得" in chinese


def test_the_sheet_is_told_to_those_who_do_not_see_it() -> None:
    canvas = Canvas(Language.CHINESE)
    canvas.heading("a < b", "c")
    svg = canvas.svg("a < b", ("no", "描述"))
    root = parsed(svg)
    assert [each.text for each in root][:2] == ["a < b", "描述"]
    assert root.attrib["role"] == "img"
