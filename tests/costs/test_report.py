"""A cost as text and as rows; and the command, as a person runs it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from costs import PoolCost, cost_of, report
from costs.pools import Filling
from ops import targets
from regions.price_list import prices_of
from rehearsal import __main__ as rehearsals
from tests.costs.plans import region_of, rows_of
from tests.ops.command import kf

OWN = (
    "us-west-2:\n  currency: USD\n  sources: {x: {date: 2026-11-01, from: a contract}}\n"
    "  prices: {kms.key: {price: 1.5, source: x}}\n"
)


@pytest.mark.parametrize("plan", ["cn-north-1", "cn-northwest-1", "several pools"])
def test_no_line_is_wider_than_80_columns(plan: str) -> None:
    rows, region = rows_of(plan), region_of(plan)
    lines = [*report.table(cost_of(rows, region)), *report.preview_lines(rows, region, plan)]
    assert len(lines) > 40
    assert [line for line in lines if len(line) > 80 or line != line.rstrip()] == []


def test_a_preview_ends_with_floor_busiest_hour_pools_and_unknown_prices() -> None:
    lines = report.preview_lines(rows_of("us-west-2"), "us-west-2", "mine")
    assert lines[:4] == [
        "cost           at least USD 998.54 a month, 2 of 10 lines without price",
        "busiest hour   at least USD 62.97",
        "pool gpu       at least USD 60.79 an hour, 44,378.79 a month (8 x g6e.16xlarge;",
        "               no price of g4dn.4xlarge, g4dn.8xlarge, g5.xlarge, g6.4xlarge,",
    ]
    assert lines[4:6] == [
        "               g6e.4xlarge)",
        "without price  db.m6g.large multi-az, storage of RDS, gp3, two zones",
    ]
    assert lines[-1] == "               all of it: ./kf cost --stack mine"


def test_the_busiest_hour_is_at_least_that_while_a_pool_lacks_a_price() -> None:
    cost = cost_of(rows_of("us-west-2"), "us-west-2")
    lines = tuple(line for line in cost.lines if line.price is not None)
    assert report.busiest(replace(cost, lines=lines)) == "at least USD 62.97"
    pools = tuple(replace(pool, unpriced=()) for pool in cost.pools)
    assert report.busiest(replace(cost, lines=lines, pools=pools)) == "USD 62.97"


@pytest.mark.parametrize(
    ("unpriced", "disks_priced", "words"),
    [
        ("", True, "up to CNY 2.00 an hour, 1,460.00 a month (2 x x.large)"),
        ("", False, "no price of disks)"),
        ("ab", False, "no price of a, b, disks)"),
        ("abcdefgh", True, "no price of a, b, c, d, e, f and 2 more types)"),
    ],
)
def test_a_pool_has_a_ceiling_only_while_everything_in_it_has_a_price(
    unpriced: str, disks_priced: bool, words: str
) -> None:
    full = Filling(2, "2 x x.large", ())
    pool = PoolCost("gpu", "CNY", "GPU", 2, (), full, full, 9, tuple(unpriced), disks_priced)
    partly = "at least CNY 2.00 an hour, 1,460.00 a month (2 x x.large; "
    assert report.ceiling(pool) == (words if words.startswith("up to") else partly + words)
    assert pool.bounded is words.startswith("up to")


def test_a_floor_of_which_something_is_unknown_says_so_in_every_form() -> None:
    partly = cost_of(rows_of("cn-north-1"), "cn-north-1")
    shown = "\n".join(report.table(partly))
    least = "floor, at least: 8 of 10 lines without price"
    assert re.search(rf"^{least} +8,368\.72$", shown, re.MULTILINE)
    elsewhere = "floor elsewhere, USD, at least: 1 of 1 lines without price"
    assert re.search(rf"^{elsewhere} +unknown$", shown, re.MULTILINE)
    totals = [row for row in report.rows_of(partly) if row["kind"] == "total"]
    assert [(row["what"], row["monthly"]) for row in totals] == [
        (least, 8368.72),
        ("floor elsewhere, at least: 1 of 1 lines without price", None),
        ("busiest hour, at least", None),
    ]
    assert [row["what"] for row in report.rows_of(partly) if row["kind"] == "pool"] == [
        "gpu, at least"
    ]
    whole = replace(partly, lines=partly.lines[:2], pools=(), elsewhere={})
    assert re.search(r"^floor +8,368\.72$", "\n".join(report.table(whole)), re.MULTILINE)
    assert [row["what"] for row in report.rows_of(whole)][-2:] == ["floor", "busiest hour"]
    assert (report.json_of(partly, "x")["complete"], report.json_of(whole, "x")["complete"]) == (
        False,
        True,
    )
    assert report.json_of(partly, "x")["elsewhere"] == {"USD": None}


def test_a_floor_without_any_price_is_unknown() -> None:
    keys = [row for row in rows_of("cn-north-1") if row["type"] == "aws:kms/key:Key"]
    none = cost_of(keys, "cn-north-1")
    assert report.floor(none) == "unknown: none of its 1 lines has a price"
    assert re.search(r"^floor, at least: .* unknown$", "\n".join(report.table(none)), re.MULTILINE)


def test_the_table_has_every_part() -> None:
    text = "\n".join(report.table(cost_of(rows_of("cn-northwest-1"), "cn-northwest-1")))
    for part in (
        "NAT gateway: way out of the private subnets       2,190 h       0.37      810.30",
        "EKS cluster: control plane                          730 h    unknown",
        "busiest hour   at least CNY 4.32",
        "pool gpu       unknown: none of its 11 types has a price",
        "first copy     ",
        "by use, in no total",
        "without a price",
        f"{'objects in S3':<57}CNY 0.1755 per GB-month",
        "old prices",
        " days old, of 2021-02-10: interface endpoint in one zone.",
    ):
        assert part in text


# -- The command ----------------------------------------------------------------------------------


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a stack file and its plan; no file of one's own prices."""
    monkeypatch.delenv(report.OWN, raising=False)
    source = (targets.PROJECT / "Pulumi.us-west-2.yaml").read_text()
    monkeypatch.setattr(targets, "PROJECT", tmp_path)
    (tmp_path / "Pulumi.us-west-2.yaml").write_text(source)
    folder = tmp_path / "build" / "us-west-2"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(rows_of("us-west-2")))
    return tmp_path


def test_json_has_the_whole_cost(planned: Path) -> None:
    done = kf("cost", "--stack", "us-west-2", "--format", "json")
    assert done.exit_code == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["stack"], shown["currency"], shown["monthly"]) == ("us-west-2", "USD", 998.54)
    assert (shown["complete"], shown["lines_without_price"]) == (False, 2)
    assert shown["lines"][0]["quantity"] == 2920
    assert shown["pools"][0]["complete"] is False
    assert re.search(r"\d\.\d*(0{6}|9{6})\d", done.stdout) is None
    assert shown["pools"][0]["most"]["mix"] == "8 x g6e.16xlarge"
    database = "db.m6g.large multi-az in us-west-2, 730 hours a month: no price"
    assert any(each.startswith(database) for each in shown["unknown"])


def test_text_has_one_row_per_line_and_is_what_a_pipe_gets(planned: Path) -> None:
    piped, text = (
        kf("cost", "--stack", "us-west-2"),
        kf("cost", "--stack", "us-west-2", "--format", "text"),
    )
    assert piped.stdout == text.stdout
    rows = [line.split("\t") for line in text.stdout.splitlines()]
    assert {len(row) for row in rows} == {8}
    assert {row[0] for row in rows} == {"floor", "use", "pool", "total"}
    nat = "NAT gateway: way out of the private subnets"
    assert ["floor", nat, "us-west-2", "2190.0", "hour", "0.045", "98.55", "USD"] in rows
    assert re.search(r"\d\.\d*(0{6}|9{6})\d", text.stdout) is None


def test_the_table_can_be_asked_for(planned: Path) -> None:
    done = kf("cost", "--stack", "us-west-2", "--format", "table")
    assert done.stdout.startswith("a month, nothing used")


def test_prices_of_ones_own_by_option_and_by_variable(
    planned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = planned / "prices.yaml"
    path.write_text(OWN)
    by_option = kf("cost", "--stack", "us-west-2", "--format", "json", "--prices", str(path))
    monkeypatch.setenv(report.OWN, str(path))
    by_variable = kf("cost", "--stack", "us-west-2", "--format", "json")
    assert by_option.stdout == by_variable.stdout
    assert json.loads(by_option.stdout)["monthly"] == 999.54
    preview = report.preview_lines(rows_of("us-west-2"), "us-west-2", "us-west-2")
    assert preview[0].startswith("cost           at least USD 999.54 a month, 2 of 10")


def test_a_wrong_file_of_prices_is_one_sentence_and_exit_code_2(planned: Path) -> None:
    done = kf("cost", "--stack", "us-west-2", "--prices", str(planned / "none.yaml"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "none.yaml cannot be read (No such file or directory): name a file" in done.stderr


def test_without_a_plan_the_way_out_is_named(planned: Path) -> None:
    (planned / "build" / "us-west-2" / "plan.json").unlink()
    done = kf("cost", "--stack", "us-west-2")
    assert done.exit_code == 2
    sentence = "build/us-west-2/plan.json has no plan: run `make preview STACK=us-west-2` first."
    assert done.stderr.strip() == sentence


@pytest.mark.parametrize("page", ["cost.md", "cost.zh-CN.md"])
def test_the_example_of_the_page_is_taken(page: str, tmp_path: Path) -> None:
    text = (Path(report.__file__).parents[1] / "docs" / page).read_text("utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    path = tmp_path / "prices.yaml"
    path.write_text(example, "utf-8")
    known = prices_of("cn-north-1", path)
    assert (known.prices["eks.cluster"].amount, known.machines["m5.xlarge"].amount) == (1, 4)
    assert known.databases["db.m6g.large", "multi-az"].amount == 3
    assert known.postgresql["db.t4g.micro", "single-az"].amount == 5


def test_a_wrong_file_ends_a_preview_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(rows_of("us-west-2")))
    say_cost = rehearsals._say_cost  # pyright: ignore[reportPrivateUsage]
    monkeypatch.delenv(report.OWN, raising=False)
    say_cost(plan, "us-west-2", "us-west-2")
    assert "cost           at least USD 998.54 a month" in capsys.readouterr().out
    monkeypatch.setenv(report.OWN, str(tmp_path / "none.yaml"))
    with pytest.raises(rehearsals.typer.Exit) as ended:
        say_cost(plan, "us-west-2", "us-west-2")
    assert ended.value.exit_code == 2
