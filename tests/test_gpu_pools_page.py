"""The page about GPU pools: its prices are those of the table, its pools are accepted."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from regions.gpu_families import FAMILIES
from regions.instance_prices import prices_in
from settings import from_mapping
from tests.documents import ROOT, blocks

PAGES = [ROOT / "docs/gpu-pools.md", ROOT / "docs/gpu-pools.zh-CN.md"]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_prices_and_memory_of_gpus_are_those_of_the_tables(page: Any) -> None:
    rows = re.findall(
        r"^\| (\d?).*?([A-Z]\w+) \| .*?(\d+) GiB.*? \| `([\w.]+)` \| ([\d.]+) \|$",
        page.read_text("utf-8"),
        re.MULTILINE,
    )
    assert len(rows) == 5
    known = prices_in("cn-north-1")
    assert known is not None
    for number, gpu, memory, machine, price in rows:
        name, _, size = machine.partition(".")
        family = FAMILIES[name]
        assert f"{known.prices[name][size]:.2f}" == price
        assert family.name == gpu.lower()
        assert family.memory // 1024 == int(memory)
        assert int(number or 1) in family.per_machine
    assert known.date in page.read_text("utf-8")


@each_page
def test_the_pools_of_the_page_are_accepted(page: Any) -> None:
    found = [yaml.safe_load(each.text) for each in blocks(page.read_text("utf-8"))]
    sections = [each for each in found if each and "kubeflow:nodePools" in each]
    (pools,) = sections
    settings = from_mapping({"region": "cn-north-1", "nodePools": pools["kubeflow:nodePools"]})
    assert {name: pool.slices for name, pool in settings.node_pools.items()} == {
        "steps": 1,
        "shared": 4,
        "many": 1,
    }
