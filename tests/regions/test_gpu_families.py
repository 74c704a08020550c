"""The table of GPUs per machine of each family."""

from __future__ import annotations

from regions.gpu_families import FAMILIES, per_machine
from regions.region import GPU_FAMILIES

PARTS_OF_A_GPU = {"g6f", "gr6f"}


def test_every_family_is_in_the_table_but_those_with_parts_of_a_gpu() -> None:
    assert set(GPU_FAMILIES) == set(FAMILIES) | PARTS_OF_A_GPU


def test_the_numbers_of_several_families_are_one_ladder() -> None:
    assert per_machine(["g3", "p2"]) == (1, 2, 4, 8, 16)


def test_with_a_family_outside_the_table_there_are_no_numbers() -> None:
    assert per_machine(["g4dn", "g6f"]) == ()
