"""Price tables by region: each price has a dated source, and a wrong file is one sentence."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from regions import instance_prices, price_list
from regions.machines import TABLE, machines
from regions.offers import names
from regions.price_list import KEYS, PricesRejected, prices_of
from tests.harness import REGIONS
from tests.regions.machines_of_moto import text

FOLDER = Path(price_list.__file__).with_name("prices")
TABLES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
VALID = """
us-west-2:
  currency: USD
  sources: {contract: {date: 2026-11-01, from: a contract}}
  prices: {kms.key: {price: 1.5, source: contract}}
"""


def test_the_shipped_stacks_have_a_table() -> None:
    assert set(REGIONS) <= set(TABLES)


@pytest.mark.parametrize("region", TABLES)
def test_every_price_has_a_source_with_a_day_in_the_past(region: str) -> None:
    known = prices_of(region)
    databases = [*known.databases.values(), *known.postgresql.values()]
    prices = [*known.prices.values(), *known.machines.values(), *databases]
    assert prices
    assert all(price.amount > 0 for price in prices)
    for day, text_ in {(price.source.date, price.source.text) for price in prices}:
        assert date(2020, 1, 1) < day <= date.today()
        assert len(text_) > 20
    assert known.currency == ("CNY" if region.startswith("cn-") else "USD")


@pytest.mark.parametrize("region", TABLES)
def test_a_table_has_no_unused_source_and_no_unknown_name(region: str) -> None:
    table = yaml.safe_load((FOLDER / f"{region}.yaml").read_text())
    parts = [table.get(name, {}) for name in ("machines", "databases", "postgresql")]
    used = {row["source"] for row in table.get("prices", {}).values()}
    used |= {part["source"] for part in parts if part}
    assert used == set(table["sources"])
    known = prices_of(region)
    assert set(known.prices) <= set(KEYS)
    assert {name for name, _ in known.databases} <= set(names("databases", region))
    assert {name for name, _ in known.postgresql} <= set(names("postgresDatabases", region))
    assert known.machines.keys() <= set(names("instances", region))


def test_machines_of_beijing_are_those_that_karpenter_reads() -> None:
    shared = instance_prices.prices_in("cn-north-1")
    assert shared is not None
    machines_there = prices_of("cn-north-1").machines
    assert machines_there["g4dn.xlarge"].amount == shared.prices["g4dn"]["xlarge"]
    assert machines_there["m5.xlarge"].source.date == date(2024, 11, 6)


def test_a_region_without_table_has_its_currency_and_no_price() -> None:
    known = prices_of("eu-central-1")
    assert (known.currency, known.prices, known.machines) == ("USD", {}, {})


def test_the_sizes_of_machines_are_those_of_moto() -> None:
    assert TABLE.read_text() == text()


def test_sizes_of_known_machines() -> None:
    known = {
        name: (machines()[name].vcpus, machines()[name].gpus)
        for name in ("p3.8xlarge", "m5.xlarge")
    }
    assert known == {"p3.8xlarge": (32, 4), "m5.xlarge": (4, 0)}
    machine = machines()["g4dn.xlarge"]
    assert (machine.family, machine.category, machine.generation) == ("g4dn", "g", 4)
    assert "m6g.large" not in machines()


# -- A file of one's own --------------------------------------------------------------------------


def own(folder: Path, text_: str) -> Path:
    path = folder / "prices.yaml"
    path.write_text(text_)
    return path


def test_own_prices_win_and_the_others_stay(tmp_path: Path) -> None:
    path = own(tmp_path, VALID + "  machines: {source: contract, prices: {m5: {xlarge: 0.1}}}\n")
    known, shipped = prices_of("us-west-2", path), prices_of("us-west-2")
    assert known.prices["kms.key"].amount == 1.5
    assert known.machines["m5.xlarge"].amount == 0.1
    assert known.machines["m5.4xlarge"] == shipped.machines["m5.4xlarge"]
    assert known.prices["eks.cluster"] == shipped.prices["eks.cluster"]
    assert prices_of("us-gov-west-1", path) == prices_of("us-gov-west-1")


AMOUNT = "write a number from 0 to 100000, without quotes."
DAY = "write the day on which the price was valid, such as 2026-11-01, none to come."
EXAMPLE = "write it as docs/cost.md has it."
MACHINES = VALID + "  machines: {source: contract, prices: {m5: {xlarge: 1}}}\n"
DATABASES = VALID + "  databases: {source: contract, prices: {db.m6g.large: {multi-az: 1}}}\n"
POSTGRESQL = VALID + "  postgresql: {source: contract, prices: {db.t4g.micro: {multi-az: 1}}}\n"
OTHER = VALID.replace("us-west-2", "eu-west-1")
REJECTED = {
    "- a": f"the file is [a]: {EXAMPLE}",
    "": f"the file is empty: {EXAMPLE}",
    "{": "is no YAML (",
    "us-west-2: 3": f"us-west-2 is 3: {EXAMPLE}",
    "us-west-2: {currency: USD}": f"us-west-2.sources is missing: {EXAMPLE}",
    VALID.replace("USD", "dollars"): (
        "us-west-2.currency is dollars: write the currency of the region's bill, CNY or USD."
    ),
    VALID.replace("USD", "CNY"): (
        "us-west-2.currency is CNY, but the region is billed in USD: convert the prices."
    ),
    # Of a region that nobody asked for.
    VALID + OTHER.replace("USD", "EUR"): (
        "eu-west-1.currency is EUR, but the region is billed in USD: convert the prices."
    ),
    VALID.replace("kms.key", "kms.kye"): (
        "us-west-2.prices: kms.kye is unknown: did you mean kms.key?"
    ),
    VALID.replace("source: contract", "source: bill"): (
        "us-west-2.prices.kms.key.source: bill is unknown: docs/cost.md lists what there is."
    ),
    VALID.replace(", source: contract", ""): (
        "us-west-2.prices.kms.key.source is missing: write a name of the section sources."
    ),
    VALID.replace("source: contract", "source: contract, day: 1"): (
        f"us-west-2.prices.kms.key.day is unknown: {EXAMPLE}"
    ),
    VALID.replace("1.5", "-1"): f"us-west-2.prices.kms.key.price is -1: {AMOUNT}",
    VALID.replace("1.5", ".inf"): f"us-west-2.prices.kms.key.price is .inf: {AMOUNT}",
    VALID.replace("1.5", ".nan"): f"us-west-2.prices.kms.key.price is .nan: {AMOUNT}",
    VALID.replace("1.5", "true"): f"us-west-2.prices.kms.key.price is true: {AMOUNT}",
    VALID.replace("1.5", "'1.5'"): f"us-west-2.prices.kms.key.price is '1.5': {AMOUNT}",
    VALID.replace("1.5", "1e30"): f"us-west-2.prices.kms.key.price is 1e30: {AMOUNT}",
    VALID.replace("1.5", "1.0e+30"): f"us-west-2.prices.kms.key.price is 1.0e+30: {AMOUNT}",
    VALID.replace("1.5", '"a\\nb"'): f"us-west-2.prices.kms.key.price is 'a b': {AMOUNT}",
    VALID.replace("1.5", ""): f"us-west-2.prices.kms.key.price is empty: {AMOUNT}",
    VALID.replace("1.5", "x" * 50): f"us-west-2.prices.kms.key.price is {'x' * 37}...: {AMOUNT}",
    VALID.replace("2026-11-01", "soon"): f"us-west-2.sources.contract.date is soon: {DAY}",
    VALID.replace("2026-11-01", "20261101"): (
        f"us-west-2.sources.contract.date is 20261101: {DAY}"
    ),
    VALID.replace("2026-11-01", "2999-01-01"): (
        f"us-west-2.sources.contract.date is 2999-01-01: {DAY}"
    ),
    VALID.replace("a contract", "''"): (
        "us-west-2.sources.contract.from is '': write where the price is from, such as a contract."
    ),
    VALID.replace("us-west-2", "us-west-9"): (
        "us-west-9: no AWS partition has a region of this name: did you mean us-west-2"
    ),
    MACHINES.replace("m5:", "m55:"): "us-west-2.machines.prices: m55 is unknown: did you mean m5",
    MACHINES.replace("xlarge", "xlargee"): (
        "us-west-2.machines.prices.m5: xlargee is unknown: did you mean xlarge?"
    ),
    MACHINES.replace("xlarge", "5xlarge"): "us-west-2.machines.prices.m5: 5xlarge is unknown: did",
    MACHINES.replace("xlarge: 1", "xlarge: true"): (
        f"us-west-2.machines.prices.m5.xlarge is true: {AMOUNT}"
    ),
    MACHINES.replace("machines: {source: contract", "machines: {source: x"): (
        "us-west-2.machines.source: x is unknown: docs/cost.md lists what there is."
    ),
    DATABASES.replace("multi-az", "two"): (
        "us-west-2.databases.prices.db.m6g.large.two is two: write single-az or multi-az."
    ),
    DATABASES.replace("multi-az: 1", "multi-az: one"): (
        f"us-west-2.databases.prices.db.m6g.large.multi-az is one: {AMOUNT}"
    ),
    DATABASES.replace("db.m6g", "m6g"): (
        "us-west-2.databases.prices: m6g.large is unknown: did you mean db.m6g.large?"
    ),
    POSTGRESQL.replace("multi-az", "two"): (
        "us-west-2.postgresql.prices.db.t4g.micro.two is two: write single-az or multi-az."
    ),
    POSTGRESQL.replace("multi-az: 1", "multi-az: one"): (
        f"us-west-2.postgresql.prices.db.t4g.micro.multi-az is one: {AMOUNT}"
    ),
    POSTGRESQL.replace("t4g.micro", "m6gd.12xlarg"): (
        "us-west-2.postgresql.prices: db.m6gd.12xlarg is unknown: did you mean db.m6gd.12xlarge?"
    ),
    POSTGRESQL.replace("source: contract, prices", "source: x, prices"): (
        "us-west-2.postgresql.source: x is unknown: docs/cost.md lists what there is."
    ),
}


@pytest.mark.parametrize("content", REJECTED)
def test_a_wrong_file_is_one_sentence(content: str, tmp_path: Path) -> None:
    path = own(tmp_path, content)
    with pytest.raises(PricesRejected) as rejected:
        prices_of("us-west-2", path)
    sentence = str(rejected.value)
    assert sentence.startswith(str(path))
    assert REJECTED[content] in sentence
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (MACHINES.replace("xlarge", "xlargee"), "m5: xlargee is unknown: did you mean xlarge?"),
        (DATABASES.replace("large", "larg"), "db.m6g.larg is unknown: did you mean db.m6g.large?"),
        (DATABASES.replace("db.", ""), "prices: m6g.large is unknown: docs/cost.md lists what"),
    ],
)
def test_sizes_of_a_region_that_no_table_has_are_those_that_aws_names(
    content: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(kind: str, region: str) -> dict[str, tuple[str, ...]]:
        return {}

    monkeypatch.setattr(price_list.offers, "families", unknown)
    path = own(tmp_path, MACHINES.replace("xlarge", "metal-48xl"))
    assert prices_of("us-west-2", path).machines["m5.metal-48xl"].amount == 1
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(content)
    with pytest.raises(PricesRejected, match=re.escape(words)):
        prices_of("us-west-2", wrong)


def test_a_day_may_be_quoted(tmp_path: Path) -> None:
    path = own(tmp_path, VALID.replace("2026-11-01", "'2026-11-01'"))
    assert prices_of("us-west-2", path).prices["kms.key"].source.date == date(2026, 11, 1)


def test_every_key_that_a_plan_can_ask_for_is_one_of_a_file(tmp_path: Path) -> None:
    volumes = ("gp2", "gp3", "io1", "io2", "st1", "sc1", "standard")
    storage = ("gp2", "gp3", "io1", "io2", "standard")
    keys = [f"ebs.{kind}" for kind in volumes]
    keys += [f"rds.{kind}.{zones}" for kind in storage for zones in ("single-az", "multi-az")]
    for key in keys:
        path = tmp_path / f"{key}.yaml"
        path.write_text(VALID.replace("kms.key", key))
        assert prices_of("us-west-2", path).prices[key].amount == 1.5


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PricesRejected, match=r"cannot be read \(No such file or directory\): name"):
        prices_of("us-west-2", tmp_path / "none.yaml")
