"""Price tables by region: each price has a dated source, and a wrong file is one sentence."""

from __future__ import annotations

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
    prices = [*known.prices.values(), *known.machines.values(), *known.databases.values()]
    assert prices
    assert all(price.amount > 0 for price in prices)
    for day, text_ in {(price.source.date, price.source.text) for price in prices}:
        assert date(2020, 1, 1) < day <= date.today()
        assert len(text_) > 20
    assert known.currency == ("CNY" if region.startswith("cn-") else "USD")


@pytest.mark.parametrize("region", TABLES)
def test_a_table_has_no_unused_source_and_no_unknown_name(region: str) -> None:
    table = yaml.safe_load((FOLDER / f"{region}.yaml").read_text())
    parts = [table.get(name, {}) for name in ("machines", "databases")]
    used = {row["source"] for row in table.get("prices", {}).values()}
    used |= {part["source"] for part in parts if part}
    assert used == set(table["sources"])
    known = prices_of(region)
    assert set(known.prices) <= set(KEYS)
    assert {name for name, _ in known.databases} <= set(names("databases", region))
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


REJECTED = {
    "- a": "the file: input should be a valid dictionary: see docs/cost.md.",
    "{": "is no YAML (",
    "us-west-2: {currency: USD}": "us-west-2.sources: field required: see docs/cost.md.",
    VALID.replace(
        "USD", "dollars"
    ): "us-west-2.currency: string should match pattern '^[A-Z]{3}$', and it is 'dollars'",
    VALID.replace("USD", "CNY"): (
        "us-west-2.currency is CNY, but the region is billed in USD: convert the prices."
    ),
    VALID + VALID.replace("us-west-2", "cn-north-1"): (
        "cn-north-1.currency is USD, but the region is billed in CNY: convert the prices."
    ),
    VALID.replace("1.5", "true"): "kms.key.price: true is no number: see docs/cost.md.",
    VALID.replace("1.5", "'1.5'"): "kms.key.price: '1.5' is no number: see docs/cost.md.",
    VALID.replace("kms.key", "kms.kye"): (
        "us-west-2.prices: kms.kye is unknown: did you mean kms.key?"
    ),
    VALID.replace("source: contract", "source: bill"): (
        "us-west-2.prices.kms.key.source: bill is unknown: docs/cost.md lists what there is."
    ),
    VALID.replace("1.5", "-1"): "price: input should be greater than or equal to 0, and it is -1",
    VALID.replace("1.5", ".inf"): "us-west-2.prices.kms.key.price: input should be a finite number",
    VALID.replace("2026-11-01", "soon"): "us-west-2.sources.contract.date: input should be a valid",
    VALID.replace("us-west-2", "us-west-9"): (
        "us-west-9: no AWS partition has a region of this name: did you mean us-west-2"
    ),
    VALID + "  machines: {source: contract, prices: {m55: {xlarge: 1}}}\n": (
        "us-west-2.machines.prices: m55 is unknown: did you mean m5"
    ),
    VALID + "  machines: {source: contract, prices: {m5: {xlagre: 1}}}\n": (
        "us-west-2.machines.prices.m5: xlagre is unknown: did you mean xlarge?"
    ),
    VALID + "  machines: {source: x, prices: {m5: {xlarge: 1}}}\n": (
        "us-west-2.machines.source: x is unknown: docs/cost.md lists what there is."
    ),
    VALID + "  databases: {source: contract, prices: {db.m6g.large: {two: 1}}}\n": (
        "us-west-2.databases.prices.db.m6g.large.two.[key]: input should be 'single-az'"
    ),
    VALID + "  databases: {source: contract, prices: {m6g.large: {multi-az: 1}}}\n": (
        "us-west-2.databases.prices: m6g.large is unknown: did you mean db.m6g.large?"
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


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PricesRejected, match=r"cannot be read \(No such file or directory\): name"):
        prices_of("us-west-2", tmp_path / "none.yaml")
