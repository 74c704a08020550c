"""The table of all checks in both pages: ``python -m ops.verification.page`` writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ops.verification.check import Check
from ops.verification.registry import CHECKS

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_IN_CHINESE = Path(__file__).parent / "looks_at.zh-CN.yaml"
_TABLE = re.compile(r"(?<=<!-- checks:begin -->\n).*?(?=<!-- checks:end -->)", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page with the table between two comments.

    Attributes:
        path: of the page.
        titles: of the columns check, deep, looks at.
        deep: what stands at a check that runs with ``--deep`` only.
        texts: check -> what it looks at; those that are missing are as the check has them.
    """

    path: Path
    titles: tuple[str, str, str]
    deep: str
    texts: Mapping[str, str]


PAGES = (
    Page(_DOCS / "verify.md", ("check", "needs `--deep`", "looks at"), "yes", {}),
    Page(
        _DOCS / "verify.zh-CN.md",
        ("检查", "需要 `--deep`", "检查内容"),
        "是",
        yaml.safe_load(_IN_CHINESE.read_text("utf-8")),
    ),
)


def with_table(text: str, page: Page) -> str:
    """The text of a page with the table of the registry."""
    if len(_TABLE.findall(text)) != 1:
        raise ValueError(f"{page.path} has no place for one table of checks")
    return _TABLE.sub(lambda _: "\n".join([*_rows(page), ""]), text)


def _rows(page: Page) -> Iterator[str]:
    yield f"| {' | '.join(page.titles)} |"
    yield "|---|---|---|"
    for check in CHECKS:
        deep = page.deep if check.creates else ""
        yield f"| `{check.name}` | {deep} | {_looks_at(check, page)} |".replace("|  |", "| |")


def _looks_at(check: Check, page: Page) -> str:
    return page.texts.get(check.name, check.looks_at)


if __name__ == "__main__":
    for _page in PAGES:
        _page.path.write_text(with_table(_page.path.read_text("utf-8"), _page), "utf-8")
