"""Boards, alarms and scraping in docs/monitoring: what they name is exported by what we render.

Queries are read by promql-parser, which follows Prometheus' own grammar; names and labels of
metrics are those of ``docs/monitoring/metrics.yaml``, which cites the exporters' sources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from settings.node_pools import newest_karpenter
from tests.releases import PIPELINES_2
from tests.rendering.beijing import rendered

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs/monitoring"
BOARDS = sorted(FOLDER.glob("*.json"))
PAGES = [ROOT / "docs/monitoring.md", ROOT / "docs/monitoring.zh-CN.md"]
OF_TARGETS = {"job", "instance"}
"""Labels that Prometheus itself gives each series (scrape.yaml)."""
PROMETHEUS = "monitoring"

each_board = pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)


def loaded(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


KNOWN: dict[str, dict[str, Any]] = loaded("metrics.yaml")
JOBS: list[dict[str, Any]] = loaded("scrape.yaml")
RULES: list[dict[str, Any]] = [
    rule for group in loaded("alarms.yaml")["groups"] for rule in group["rules"]
]
ACCESS: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "access.yaml").read_text("utf-8")))


def targets(board: Any, kind: str) -> list[dict[str, Any]]:
    return [
        target
        for panel in board["panels"]
        for target in panel["targets"]
        if target["datasource"]["type"] == kind
    ]


def queries() -> Iterator[tuple[str, str]]:
    """Every query with where it stands; Grafana's variables as it would fill them in."""
    for path in BOARDS:
        board = json.loads(path.read_text("utf-8"))
        for panel in board["panels"]:
            for target in panel["targets"]:
                if "expr" in target:
                    filled = target["expr"].replace("$__rate_interval", "5m")
                    yield f"{path.stem}: {panel['title']}", filled
    for rule in RULES:
        yield rule["alert"], rule["expr"]


QUERIES = list(queries())
each_query = pytest.mark.parametrize(
    ("where", "query"), QUERIES, ids=[where for where, _ in QUERIES]
)


def selectors(query: str) -> list[Any]:
    """The selectors of series in a query."""
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        elif isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)

    promql.walk(promql.parse(query), visit)
    return found


def grouping(query: str) -> set[str]:
    """The labels that aggregations of a query keep."""
    found: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            found.update(node.modifier.labels)

    promql.walk(promql.parse(query), visit)
    return found


def metric_of(series: str) -> str:
    """The metric of a series' name: that of a histogram has no suffix."""
    return re.sub("_(bucket|sum|count)$", "", series) if series not in KNOWN["metrics"] else series


def labels_of(series: str) -> set[str]:
    metric = metric_of(series)
    labels = {*KNOWN["metrics"][metric]["labels"], *OF_TARGETS}
    return labels | {"le"} if series.endswith("_bucket") else labels


# -- boards ---------------------------------------------------------------------------------------


def test_there_is_a_board_of_each_subject() -> None:
    names = [path.stem for path in BOARDS]
    assert names == ["database", "gpu-dcgm", "karpenter-gpu", "pipelines"]
    boards = [json.loads(path.read_text("utf-8")) for path in BOARDS]
    assert len({board["uid"] for board in boards}) == len({b["title"] for b in boards}) == 4


@each_board
def test_a_board_is_what_grafana_imports(path: Path) -> None:
    board = json.loads(path.read_text("utf-8"))
    assert {"uid", "title", "schemaVersion", "templating", "time", "panels"} <= board.keys()
    assert "id" not in board  # Grafana's own number
    source, *_ = board["templating"]["list"]
    assert (source["type"], source["name"]) == ("datasource", "datasource")
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(set(identifiers)) == len(identifiers) >= 7
    assert len({panel["title"] for panel in board["panels"]}) == len(identifiers)
    own = {"type": source["query"], "uid": "${datasource}"}
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert panel["type"] in {"timeseries", "stat"}
        assert panel["datasource"] == own
        place = panel["gridPos"]
        taken = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells
        assert max(x for x, _ in taken) < 24
        cells |= taken
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) >= 1
        assert all(target["datasource"] == own for target in panel["targets"])


@each_board
def test_every_variable_of_a_board_is_declared_and_used(path: Path) -> None:
    board = json.loads(path.read_text("utf-8"))
    declared = {each["name"] for each in board["templating"]["list"]}
    text = json.dumps(board["panels"]).replace("$__rate_interval", "")
    assert set(re.findall(r"\$\{?(\w+)", text)) == declared
    for each in board["templating"]["list"]:
        if each["type"] == "query":
            ((metric, label),) = re.findall(r"^label_values\((\w+), (\w+)\)$", each["definition"])
            assert label in labels_of(metric)


# -- queries --------------------------------------------------------------------------------------


@each_query
def test_a_query_names_what_an_exporter_has(where: str, query: str) -> None:
    found = selectors(query)
    assert found, where
    jobs = {job["job_name"] for job in JOBS}
    for selector in found:
        known = KNOWN["metrics"][metric_of(selector.name)]
        suffix = selector.name.removeprefix(metric_of(selector.name))
        assert (known.get("kind") == "histogram") == bool(suffix)
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels_of(selector.name)
            assert matcher.name != "job" or matcher.value in jobs
    assert grouping(query) <= set.union(*(labels_of(each.name) for each in found))


def test_legends_and_sentences_name_labels_that_are_left() -> None:
    for path in BOARDS:
        for target in targets(json.loads(path.read_text("utf-8")), "prometheus"):
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            query = target["expr"].replace("$__rate_interval", "5m")
            assert named <= grouping(query), target["expr"]
    for rule in RULES:
        named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        left = grouping(rule["expr"])
        left = left or set.union(*(labels_of(each.name) for each in selectors(rule["expr"])))
        assert named <= left, rule["alert"]


def test_every_metric_in_the_list_is_used_and_has_a_source() -> None:
    used = {metric_of(each.name) for _, query in QUERIES for each in selectors(query)}
    listed = set(KNOWN["metrics"])
    assert used == listed
    sources = KNOWN["sources"]
    rows = [*KNOWN["metrics"].values(), *KNOWN["cloudwatch"].values()]
    assert {row["source"] for row in rows} == set(sources)
    assert all("version" in each and ("page" in each or each["paths"]) for each in sources.values())


def test_the_board_of_the_database_asks_cloudwatch_for_what_rds_writes() -> None:
    board = json.loads((FOLDER / "database.json").read_text("utf-8"))
    (known,) = KNOWN["cloudwatch"].values()
    found = targets(board, "cloudwatch")
    assert {each["metricName"] for each in found} == set(known["metrics"])
    for each in found:
        assert each["namespace"] in KNOWN["cloudwatch"]
        assert list(each["dimensions"]) == known["dimensions"]
        assert each["statistic"] in {"Average", "Maximum", "Minimum"}
    # The name that the stack gives the instance (components/backend/database.py, instance_name).
    from components.backend.database import instance_name

    variables = {each["name"]: each["query"] for each in board["templating"]["list"]}
    assert variables["instance"] == instance_name("kubeflow")


# -- alarms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_explains_every_alarm_and_names_every_board(page: Path) -> None:
    text = page.read_text("utf-8")
    names = [rule["alert"] for rule in RULES]
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == names
    assert len(set(names)) == len(names) >= 12
    assert {f"monitoring/{path.name}" for path in FOLDER.iterdir()} <= set(
        re.findall(r"\]\(([^)]+)\)", text)
    )


def test_an_alarm_waits_for_as_long_as_prometheus_can_read() -> None:
    for rule in RULES:
        assert rule.keys() <= {"alert", "expr", "for", "annotations"}
        assert promql.parse_duration(rule.get("for", "1s")).total_seconds() <= 3600


# -- scraping -------------------------------------------------------------------------------------


@cache
def workloads() -> tuple[dict[str, Any], ...]:
    """Workloads of the releases and of the exporter of GPUs, as a stack in Beijing renders them."""
    folders = (*PIPELINES_2, "addons/dcgm-exporter")
    objects = [obj for folder in folders for obj in rendered(folder).objects]
    kinds = ("Deployment", "DaemonSet", "StatefulSet")
    return tuple(each for each in objects if each["kind"] in kinds)


def ports_of(workload: dict[str, Any]) -> list[dict[str, Any]]:
    containers = workload["spec"]["template"]["spec"]["containers"]
    return [port for each in containers for port in each.get("ports", [])]


def selected(job: dict[str, Any]) -> set[tuple[str, int]]:
    """Names of workloads and ports that a job scrapes."""
    (discovery,) = job["kubernetes_sd_configs"]
    (namespace,) = discovery["namespaces"]["names"]
    rules = {
        each["source_labels"][0].removeprefix("__meta_kubernetes_pod_"): each["regex"]
        for each in job["relabel_configs"]
        if each.get("action") == "keep"
    }
    found: set[tuple[str, int]] = set()
    for workload in workloads():
        if workload["metadata"]["namespace"] != namespace:
            continue
        labels = {
            "label_" + re.sub(r"\W", "_", key): value
            for key, value in workload["spec"]["template"]["metadata"]["labels"].items()
        }
        for port in ports_of(workload):
            facts = {
                **labels,
                "container_port_name": port.get("name", ""),
                "container_port_number": str(port["containerPort"]),
            }
            if all(facts.get(label) == value for label, value in rules.items()):
                found.add((workload["metadata"]["name"], port["containerPort"]))
    return found


def test_a_job_finds_exactly_the_pods_of_its_program() -> None:
    found = {job["job_name"]: selected(job) for job in JOBS}
    # Karpenter is a Helm chart of its own: its Service and pods carry the chart's labels.
    assert found.pop("karpenter") == set()
    assert found == {
        "dcgm-exporter": {("dcgm-exporter", 9400)},
        "pipelines": {("ml-pipeline", 8888)},
        "workflow-controller": {("workflow-controller", 9090)},
        "katib": {("katib-controller", 8080)},
        "istiod": {("istiod", 15014)},
        "istio-gateway": {("istio-ingressgateway", 15090)},
        "external-secrets": {
            ("external-secrets-kubeflow", 8080),
            ("external-secrets-kubeflow-database", 8080),
        },
        "cert-manager": {("cert-manager", 9402)},
    }


def closed_namespaces() -> set[str]:
    """Namespaces in which a NetworkPolicy refuses pods of others."""
    objects = [obj for release in PIPELINES_2 for obj in rendered(release).objects]
    policies = [each for each in objects if each["kind"] == "NetworkPolicy"]
    return {each["metadata"]["namespace"] for each in policies if not each["spec"]["podSelector"]}


def test_prometheus_is_let_through_to_what_it_scrapes_and_to_nothing_else() -> None:
    opened: set[tuple[str, str, int]] = set()
    for policy in ACCESS:
        if policy["kind"] != "NetworkPolicy":
            continue
        (rule,) = policy["spec"]["ingress"]
        (source,) = rule["from"]
        assert source["namespaceSelector"]["matchLabels"] == {
            "kubernetes.io/metadata.name": PROMETHEUS
        }
        wanted = policy["spec"]["podSelector"]["matchLabels"].items()
        for workload in workloads():
            namespace = workload["metadata"]["namespace"]
            labels = workload["spec"]["template"]["metadata"]["labels"].items()
            if namespace == policy["metadata"]["namespace"] and wanted <= labels:
                ports = {port["containerPort"] for port in ports_of(workload)}
                (port,) = (each["port"] for each in rule["ports"])
                assert port in ports
                opened.add((namespace, workload["metadata"]["name"], port))
    closed = closed_namespaces()
    needed = {
        (namespace, name, port)
        for job in JOBS
        for namespace in job["kubernetes_sd_configs"][0]["namespaces"]["names"]
        if namespace in closed
        for name, port in selected(job)
    }
    assert opened == needed
    assert len({each["metadata"]["name"] for each in ACCESS}) == 6


def test_namespaces_in_alarms_are_those_of_the_platform() -> None:
    (rule,) = (each for each in RULES if each["alert"] == "PlatformPodMissing")
    selector, _ = selectors(rule["expr"])
    (matcher,) = selector.matchers.matchers
    deployments = {
        each["metadata"]["namespace"] for each in workloads() if each["kind"] == "Deployment"
    }
    also = {"image-mirror", "package-defaults"}  # add-ons that the program fits to the stack
    assert set(matcher.value.split("|")) == (deployments | also) - {"metrics-server"}


def test_cited_versions_are_those_that_we_render() -> None:
    names = set(re.findall(r"[\w./-]+:v?[\d.]+[\w.-]*", json.dumps(workloads())))
    images = {name.rsplit("/", 1)[1] for name in names if "/" in name}
    sources = KNOWN["sources"]
    assert f"kfp-api-server:{sources['pipelines']['version']}" in images
    assert f"workflow-controller:{sources['argo']['version']}" in images
    assert f"katib-controller:{sources['katib']['version']}" in images
    assert f"cert-manager-controller:{sources['cert-manager']['version']}" in images
    assert f"dcgm-exporter:{sources['dcgm']['version']}-distroless" in images
    assert f"external-secrets:{sources['external-secrets']['version']}" in images
    assert any(each.startswith(f"proxyv2:{sources['istio']['version']}.") for each in images)
    chosen = newest_karpenter()
    assert sources["karpenter"]["version"] == f"v{chosen}"
