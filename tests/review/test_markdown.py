"""The comment on a pull request: short enough, whole, and proof against what values contain."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import pytest

from costs import Cost, CostChange, CostLine, PoolCost
from costs.pools import Filling
from review.markdown import MOST_BYTES, markdown
from review.review import review
from review.sides import Finding
from tests.review.pages import rendered, tokens
from tests.review.plans import (
    SETTINGS,
    kubernetes,
    policy,
    renamed_cluster,
    reviewed,
    row,
    sides,
)

RENAMED = ({**SETTINGS}, {**SETTINGS, "kubeflow:cluster": {"name": "acme-ml"}})

HOSTILE = [
    "a | b",
    "a \\| b",
    "`code`",
    "``` fence",
    "````",
    "<script>alert(1)</script>",
    "</details></summary>",
    "<!-- open",
    "@somebody",
    "#123456",
    "https://example.com/a_b_c",
    "[link](http://example.com)",
    "![image](http://example.com/x.png)",
    "**bold** _it_ ~~gone~~",
    "\n# heading\n\n- item\n",
    "&lt;b&gt; &amp;",
    "line\r\nnext",
    "\u202ereversed",
    "=\n===",
    "   leading",
    "$\\frac{a}{b}$",
]


def everywhere(value: str) -> Any:
    """A review in which the value stands in every place that is not the program's own."""
    spec = [{"spec": {"template": {"spec": {"nodeName": each}}}} for each in ("x", value)]
    # The value is in lines that stay, too.
    config = [{"data": {"file": f"{value}\n{each}\n{value}"}} for each in ("x", value)]
    grant = {
        "Effect": "Allow",
        "Action": value,
        "Resource": value,
        "Condition": {"StringLike": {value: value}},
    }
    rows = [
        row(
            "aws:s3/bucket:Bucket",
            value,
            "replace",
            {"bucket": "x"},
            {"bucket": value},
            replacing=["bucket"],
        ),
        row(
            "aws:iam/rolePolicy:RolePolicy",
            "role",
            "update",
            {"policy": policy()},
            {"policy": policy(grant)},
        ),
        row(
            "aws:iam/user:User", "user", "update", {"tags": {value: "x"}}, {"tags": {value: value}}
        ),
        kubernetes("Deployment", f"d{value}", "update", before=spec[0], after=spec[1]),
        kubernetes("ConfigMap", "config", "update", before=config[0], after=config[1]),
        kubernetes("ConfigMap", f"new{value}", "create", after={"data": {value: value}}),
        kubernetes("Profile", f"p{value}", "delete", before={"spec": {"owner": {"name": value}}}),
    ]
    settings = tuple({**SETTINGS, "kubeflow:tags": {value: each}} for each in ("x", value))
    finding = Finding(value, "high", "mandatory", f"urn::{value}", value, value)
    silenced = replace(finding, level="exempt", message=f"own {value}")
    known = Finding("other", "low", "advisory", "urn::x", "Other.")
    return reviewed(
        rows,
        settings=(settings[0], settings[1]),
        images=({}, {f"{value}:1": value}),
        findings=((known,), (known, finding, silenced)),
        files=[f"components/{value}.py"],
    )


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_becomes_more_than_text(value: str) -> None:
    plain, hostile = (markdown([everywhere(each)]) for each in ("word", value))
    kinds = [
        [
            token.type
            for token in tokens(text)
            if token.type not in ("text", "code_inline", "html_inline", "text_special")
        ]
        for text in (plain, hostile)
    ]
    # The same headings, lists, tables and fences in the same order, whatever the value is.
    assert sorted(kinds[0]) == sorted(kinds[1])
    page, other = rendered(plain), rendered(hostile)
    assert other.problems == []
    for tag in ("a", "img", "script", "em", "s", "h1", "h2", "table", "td", "details", "pre"):
        assert other.count(tag) == page.count(tag), tag


@pytest.mark.parametrize("value", ["a | b", "`code`", "a \\| b", "<b>", "x``y"])
def test_a_value_is_read_as_it_is(value: str) -> None:
    settings = ({**SETTINGS, "kubeflow:release": "1"}, {**SETTINGS, "kubeflow:release": value})
    page = rendered(markdown([reviewed([], settings=settings)]))
    assert value in page.of_kind("code")
    assert page.count("td") == 3


def test_code_with_a_bar_stays_readable_in_the_source() -> None:
    settings = ({**SETTINGS, "kubeflow:release": "1"}, {**SETTINGS, "kubeflow:release": "a, b|c"})
    assert "<code>a, b&#124;c</code>" in markdown([reviewed([], settings=settings)])


def test_an_unchanged_tree_is_one_line() -> None:
    same = [row("aws:s3/bucket:Bucket", "b", "same", after={"bucket": "b"})]
    assert (
        markdown([reviewed(same)])
        == "# What this change would do\n\n- **test**: nothing changes.\n"
    )


def test_the_first_screen_names_the_four_worst_things() -> None:
    """25 lines: what happens, what is lost, why, and the way out."""
    screen = "\n".join(markdown([reviewed(renamed_cluster(), settings=RENAMED)]).splitlines()[:25])
    for part in (
        "**EKS cluster replaced**: `kubeflow`",
        "**S3 bucket replaced**",
        "**Profile replaced**: `li-na (li.na@example.com)`",
        "**Database is renamed**",
        "`cluster.name`: `kubeflow` → `acme-ml`",
        "**Lost:**",
        "**Way out:**",
        "`kubeflow:deletionProtection: false`",
    ):
        assert part in screen
    assert screen.index("EKS cluster") < screen.index("S3 bucket") < screen.index("Profile")


def test_a_change_of_hundreds_of_objects_does_not_bury_the_one_beside_it() -> None:
    label = "app.kubernetes.io/version"
    rows = [
        kubernetes(
            "ConfigMap",
            f"c-{n}",
            "update",
            before={"metadata": {"labels": {label: "1.9.0"}}},
            after={"metadata": {"labels": {label: "1.10.0"}}},
        )
        for n in range(300)
    ]
    rows.append(
        kubernetes(
            "ConfigMap",
            "quiet",
            "update",
            before={"data": {"level": "warn"}},
            after={"data": {"level": "debug"}},
        )
    )
    text = markdown([reviewed(rows)])
    assert "300 objects: `metadata.labels[app.kubernetes.io/version]`: `1.9.0` → `1.10.0`" in text
    assert "@@ ConfigMap kubeflow/quiet @@\n  data.level\n- warn\n+ debug\n" in text
    assert len(text) < 1_500


def test_crds_are_named_on_one_line_and_code_by_its_digest() -> None:
    digests = [{f"kind{n}.example.com": str(version) for n in range(70)} for version in (1, 2)]
    code = "A" * 3_000
    rows = [
        row(
            "pulumi-python:dynamic:CustomResourceDefinitions",
            "crds",
            "update",
            *({"digests": each} for each in digests),
        ),
        kubernetes(
            "ConfigMap",
            "webhook",
            "update",
            before={"binaryData": {"webhook.zip": code}},
            after={"binaryData": {"webhook.zip": code[:-1] + "B"}},
        ),
        kubernetes(
            "Deployment",
            "app",
            "update",
            before={"spec": {"replicas": 1}},
            after={"spec": {"replicas": 3}},
        ),
    ]
    text = markdown([reviewed(rows, crds=(digests[0], digests[1]))])
    assert [line for line in text.splitlines() if "kind0.example.com" in line] == [
        next(line for line in text.splitlines() if line.startswith("70 CRDs changed: "))
    ]
    assert "AAAA" not in text
    assert "- 1\n+ 3\n" in text


MANY = 200


def huge() -> list[dict[str, Any]]:
    """More of everything than a comment holds, no two changes alike."""
    rows = renamed_cluster(650)
    grant = {"Effect": "Allow", "Resource": "*"}
    for n in range(MANY):
        lines = [[f"{side} {n} {line}" for line in range(40)] for side in ("old", "new")]
        data = [{"data": {"file": "\n".join(each)}} for each in lines]
        rows.append(kubernetes("ConfigMap", f"c-{n}", "update", before=data[0], after=data[1]))
        rows.append(
            row("aws:sqs/queue:Queue", f"q-{n}", "update", {"delay": f"x{n}"}, {"delay": f"y{n}z"})
        )
        rows.append(
            row(
                "aws:iam/rolePolicy:RolePolicy",
                f"p-{n}",
                "update",
                {"policy": policy()},
                {"policy": policy({**grant, "Action": f"s3:Get{n}"})},
            )
        )
        rows.append(row("aws:dynamodb/table:Table", f"t-{n}", "delete", {"name": f"t-{n}"}))
    return rows


def test_a_comment_is_never_longer_than_its_limit_nor_cut_in_the_middle() -> None:
    images = [{f"registry.example/image-{n}:{tag}": "x" for n in range(500)} for tag in (1, "v2")]
    settings = ({**SETTINGS}, {**RENAMED[1], "kubeflow:tags": {f"t{n}": "v" for n in range(500)}})
    one = reviewed(huge(), settings=settings, images=(images[0], images[1]))
    start = time.process_time()
    text = markdown([one, replace(one, stack="other")])
    assert time.process_time() - start < 2
    assert 0.8 * MOST_BYTES < len(text.encode()) <= MOST_BYTES
    assert "**This comment is shortened**" in text
    page = rendered(text)
    assert page.problems == []
    for section in (
        "Dangers",
        "Settings",
        "Access (IAM)",
        "AWS resources",
        "Kubernetes objects",
        "Images",
    ):
        for stack in ("test", "other"):
            assert f"{section}: {stack}" in page.of_kind("h2")
    assert "EKS cluster replaced" in text
    left = re.findall(r"\*([\d,]+) of ([\d,]+) ([\w ]+) are left out here: the HTML report", text)
    assert {"settings", "documents", "objects", "images in another version"} <= {
        each[2] for each in left
    }
    # Each table row is whole, and each fence is closed.
    assert all(line.count(" | ") == 2 for line in text.splitlines() if line.startswith("| `"))
    assert sum(line.startswith("```") for line in text.splitlines()) % 2 == 0


def test_units_that_are_large_are_left_out_as_a_whole() -> None:
    wide = [
        [f"{side} {n} " + f"{n:04}word " * 15 for n in range(39)]
        for side in ("old", "new", "other")
    ]
    for number in range(15, 27):
        rows = [
            kubernetes(
                "ConfigMap",
                f"c-{n}",
                "update",
                before={"data": {"file": "\n".join(f"{n}{line}" for line in wide[0])}},
                after={"data": {"file": "\n".join(f"{n}{line}" for line in wide[1])}},
            )
            for n in range(number)
        ]
        text = markdown([reviewed(rows)])
        assert len(text.encode()) <= MOST_BYTES
        assert rendered(text).problems == []


def test_worst_dangers_of_all_stacks_come_before_details_of_any() -> None:
    one = reviewed(renamed_cluster(10), settings=RENAMED)
    text = markdown([one, replace(one, stack="other")])
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles[:3] == ["## Dangers: test", "## Dangers: other", "## Settings: test"]


def test_two_runs_give_the_same_bytes() -> None:
    rows = renamed_cluster(50)
    pages = {markdown([reviewed(order, settings=RENAMED)]) for order in (rows, rows[::-1])}
    assert len(pages) == 1


def priced(
    label: str, monthly: float | None, quantity: float = 1, currency: str = "CNY"
) -> CostLine:
    return CostLine(label, quantity, "month", monthly, monthly, currency, "cn-north-1")


def pool(name: str, hour: float | None, *unpriced: str, disks: bool = True) -> PoolCost:
    most = Filling(hour, "8 x g5.xlarge", ()) if hour else None
    return PoolCost(name, "CNY", "GPU", 8, (), most, most, 9, unpriced, disks)


def cost(*lines: CostLine) -> Cost:
    monthly = sum(line.monthly or 0 for line in lines if line.currency == "CNY")
    return Cost("cn-north-1", "CNY", monthly, 5, lines, (), (), None)


def with_cost(before: Cost, after: Cost) -> str:
    base, head = sides([])
    return markdown([review("test", base, head, cost=CostChange(before, after))])


NAT = priced("NAT: way out", 400)


def test_cost_has_what_changes_and_what_is_unknown() -> None:
    keys = priced("key: keys", None, 2)
    secret = priced("secret: passwords", None, currency="USD")
    before = cost(priced("m5: nodes", 600), NAT, keys, secret)
    after = cost(priced("m5: nodes", 1000.4), NAT, keys, secret)
    before = replace(before, pools=(pool("gpu", 9.5), pool("other", 9.5)))
    after = replace(
        after,
        pools=(
            pool("gpu", 19, "p5.48xlarge"),
            pool("other", 19, disks=False),
            pool("many", None),
        ),
        elsewhere={"USD": 12, "EUR": None},
        hour_busiest=7,
        unknown=("keys: no price.",),
    )
    text = with_cost(before, after)
    assert "Cost 1,400 CNY a month at least (+400 CNY, 1 price unknown)." in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    one = "and 1 line without price"
    assert rows == [
        "|  | before | after |",
        f"| per month, at least | 1,000 CNY {one} | 1,400 CNY {one} |",
        "| per month, at least, in EUR | - | unknown |",
        f"| per month, at least, in USD | - | 12 USD {one} |",
        "| busiest hour, at least | 5.00 CNY | 7.00 CNY |",
        "| pool gpu when full, an hour | at most 9.50 CNY | at least 19 CNY |",
        "| pool many when full, an hour | - | unknown |",
        "| pool other when full, an hour | at most 9.50 CNY | at least 19 CNY |",
        "| m5: nodes | 600 CNY | 1,000 CNY |",
    ]
    assert "<summary>1 price unknown, not in these amounts</summary>" in text


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        # Machines of another type that has no price are no saving of what the old ones cost.
        (
            (priced("m5.xlarge: nodes", 561), NAT),
            (priced("m5.2xlarge: nodes", None), NAT),
            "Cost 400 CNY a month at least (change cannot be told: no price of m5.2xlarge: nodes).",
        ),
        (
            (priced("m5.xlarge: nodes", 561), NAT),
            (priced("m5.2xlarge: nodes", None), replace(NAT, monthly=300)),
            "(change cannot be told: no price of m5.2xlarge: nodes, -100 CNY without it).",
        ),
        (
            (priced("key: keys", None, 2),),
            (priced("key: keys", None, 3),),
            "Cost 0.00 CNY a month at least (change cannot be told: no price of key: keys).",
        ),
        (
            (priced("a: 1", None), priced("b: 2", None), priced("c: 3", None), NAT),
            (),
            "no price of a: 1; b: 2; and 1 more, -400 CNY without them).",
        ),
        ((NAT,), (replace(NAT, monthly=500),), "Cost 500 CNY a month at least (+100 CNY)."),
        ((NAT,), (NAT, priced("d: 4", 9, currency="USD")), "Cost 400 CNY a month at least."),
    ],
)
def test_a_change_without_price_is_no_amount(
    before: tuple[CostLine, ...], after: tuple[CostLine, ...], words: str
) -> None:
    assert words in with_cost(cost(*before), cost(*after))


def test_lines_without_price_are_shown_by_their_quantity() -> None:
    text = with_cost(
        cost(priced("key: keys", None, 2)),
        cost(priced("key: keys", None, 3), priced("d: 4", 9, currency="USD")),
    )
    assert "| key: keys | unknown, quantity 2 | unknown, quantity 3 |" in text
    assert "| d: 4 | - | 9.00 USD |" in text


def test_findings_are_new_solved_or_were_there_before() -> None:
    new, old, still = (
        Finding(name, "high", level, "urn:x::db", f"{name} it is.", "")
        for name, level in (("a", "mandatory"), ("b", "advisory"), ("c", "exempt"))
    )
    base, head = sides([], findings=((old, still), (new, still)))
    text = markdown([review("test", base, head)])
    assert "Policies: 1 finding (1 new, 1 solved, 1 mandatory)" in text
    assert "1 finding new:" in text
    assert "1 finding solved:" in text
    assert "1 finding as before: 1 exempt high" in text


@pytest.mark.parametrize("length", [100, 150, 161, 1_000, 200_000])
def test_a_line_of_a_difference_is_cut_once(length: int) -> None:
    pair = [{"data": {"k": [f"{side}{' x' * (length // 2)}"]}} for side in ("a", "b")]
    text_ = [{"data": {"k": f"{side}{' x' * (length // 2)}"}} for side in ("a", "b")]
    for before, after in (pair, text_):
        row_ = kubernetes("ConfigMap", "c", "update", before=before, after=after)
        lines = markdown([reviewed([row_])]).splitlines()
        shown = [line for line in lines if line[:1] in "+-" and line[2:4] in ("a ", "b ")]
        assert len(shown) == 2
        for line in shown:
            assert len(line) <= 160
            whole = line.endswith("x")
            assert whole or re.search(r"\.\.\. \(\d+ characters, [0-9a-f]{12}\)$", line), line
