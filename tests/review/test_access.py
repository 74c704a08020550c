"""Which rights a change adds, judged statement by statement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from review.access import Widening, wider
from review.blocks import Code
from review.content import sections, summary
from review.grants import Grant, covers, documents
from review.markdown import markdown
from review.resources import Resource, paired
from tests.review.plans import policy, reviewed, row, sides

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("access.yaml").read_bytes())
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"


def said(grants: tuple[Grant, ...]) -> list[str]:
    return [
        f"{each.action} on {each.resource}"
        + ("" if each.principal == "-" else f" for {each.principal}")
        for each in grants
    ]


def widenings(before: Any, after: Any) -> tuple[Widening, ...]:
    pair = [{"policy": json.dumps({"Statement": each})} for each in (before, after)]
    return reviewed([row(ROLE_POLICY, "role", "update", *pair)]).access.widenings


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_a_document_allows_more_or_not(case: dict[str, Any]) -> None:
    found = [each for each in widenings(case["before"], case["after"]) if each.widens]
    assert [said(each.allowed) for each in found if each.allowed] == (
        [case["wider"]] if "wider" in case else []
    )
    assert [said(each.undenied) for each in found if each.undenied] == (
        [case["lifted"]] if "lifted" in case else []
    )
    assert sum(len(each.by_hand) for each in found) == case.get("by_hand", 0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_nothing_is_wider_than_itself(case: dict[str, Any]) -> None:
    assert widenings(case["after"], case["after"]) == ()


def test_what_is_narrower_is_named_too() -> None:
    wide = [{"Effect": "Allow", "Action": ["a:B", "a:C"], "Resource": "*"}]
    narrow = [{"Effect": "Allow", "Action": "a:B", "Resource": "*"}]
    (found,) = widenings(wide, narrow)
    assert not found.widens
    assert said(found.narrower) == ["a:C on *"]


def test_documents_are_found_wherever_they_are() -> None:
    text = policy({"Effect": "Allow", "Action": "a:B", "Resource": "*"})
    inputs = {
        "policy": text,
        "inlinePolicies": [{"name": "x", "policy": text}],
        "settings": {"keyPolicy": json.loads(text)},
        "description": "Statement",
        "lifecycle": '{"rules": []}',
    }
    assert [place for place, _ in documents(inputs)] == [
        "inlinePolicies[0].policy",
        "policy",
        "settings.keyPolicy",
    ]


def renamed(old: str, new: str, *, elsewhere: bool) -> tuple[Any, ...]:
    rows = [
        row(
            ROLE_POLICY,
            "role",
            "update",
            *(
                {
                    "policy": policy(
                        {"Effect": "Allow", "Action": "s3:Get*", "Resource": f"arn:aws:s3:::{b}/*"}
                    )
                }
                for b in (old, new)
            ),
        ),
    ]
    if elsewhere:
        rows.append(row("aws:s3/bucket:Bucket", "b", "replace", {"bucket": old}, {"bucket": new}))
    access = reviewed(rows).access
    return access.widenings, dict(access.renamed)


def test_a_rename_of_what_the_stack_itself_names_anew_is_one_line() -> None:
    assert renamed("kubeflow-data", "acme-data", elsewhere=True) == (
        (),
        {("kubeflow", "acme"): ("iam RolePolicy role",)},
    )


def test_rights_on_something_else_are_rights_on_something_else() -> None:
    found, lines = renamed("kubeflow-data", "payroll-data", elsewhere=False)
    assert lines == {}
    assert said(found[0].allowed) == ["s3:Get* on arn:aws:s3:::payroll-data/*"]


def test_a_wildcard_in_place_of_a_name_is_no_rename() -> None:
    found, lines = renamed("data", "*", elsewhere=True)
    assert lines == {}
    assert len(found) == 1


def test_managed_policies_that_are_attached_are_named() -> None:
    attachment = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    own = "arn:aws:iam::111122223333:policy/own-"
    rows = [
        row(attachment, "new", "create", after={"role": "r", "policyArn": arn}),
        row(attachment, "gone", "delete", {"role": "r", "policyArn": arn}),
        row(
            attachment,
            "suffix",
            "replace",
            {"role": "r", "policyArn": f"{own}0123abc"},
            {"role": "r", "policyArn": f"{own}4567def"},
        ),
    ]
    found = reviewed(rows).access.attachments
    assert [(each.owner.label, each.policy, each.new) for each in found] == [
        ("gone", arn, False),
        ("new", arn, True),
    ]


def test_no_grant_covers_one_with_another_principal() -> None:
    mine = Grant("a:B", "*", "AWS: me", "")
    assert covers(mine, mine)
    assert not covers(mine, Grant("a:B", "*", "AWS: you", ""))


def test_the_section_says_so_where_nothing_is_wider() -> None:
    wide = [{"Effect": "Allow", "Action": ["a:B", "a:C"], "Resource": "*"}]
    narrow = [{"Effect": "Allow", "Action": "a:B", "Resource": "*"}]
    pair = [{"policy": policy(*each)} for each in (wide, narrow)]
    shown = sections(reviewed([row(ROLE_POLICY, "role", "update", *pair)]))
    assert "Nothing is allowed that was not allowed before." in str(shown[0])
    assert Code("a:C") in _codes(shown)


def _codes(value: Any) -> list[Code]:
    if isinstance(value, Code):
        return [value]
    if isinstance(value, (list, tuple)):
        return [code for item in value for code in _codes(item)]
    fields = getattr(value, "__dataclass_fields__", ())
    return [code for name in fields for code in _codes(getattr(value, name))]


def test_the_summary_counts_who_may_do_more() -> None:
    wide = {"policy": policy({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}), "role": "r-1"}
    role = "aws:iam/role:Role"
    for rows, number in (
        ([row(ROLE_POLICY, "p", "update", {"policy": policy()}, wide)], 1),
        ([row(ROLE_POLICY, "p", "create", after=wide)], 1),
        ([row(ROLE_POLICY, "p", "create", after=wide), row(role, "r", "create", after={})], 0),
        ([row(ROLE_POLICY, "p", "update", wide, wide)], 0),
    ):
        review = reviewed(rows)
        assert len(wider(review.access)) == number
        assert ("IAM: 1 document allows more" in str(summary(review))) is bool(number)
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    attachment = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    attached = row(attachment, "a", "create", after={"role": "r-1", "policyArn": arn})
    assert "IAM: 1 policy attached" in str(summary(reviewed([attached])))


def test_a_deleted_role_is_no_widening() -> None:
    text = policy({"Effect": "Deny", "Action": "a:B", "Resource": "*"})
    base, head = sides([row(ROLE_POLICY, "role", "delete", {"policy": text})])
    (resource,) = paired(base, head).values()
    assert isinstance(resource, Resource)
    assert not any(each.widens for each in reviewed([head.rows[0]]).access.widenings)


def test_a_policy_of_a_new_role_is_a_danger_only_where_it_is_broad() -> None:
    attachment = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    role = row("aws:iam/role:Role", "r", "create", after={"name": "r"})
    for policy_, found in (
        ("aws:policy/AmazonS3FullAccess", ["Rights on everything"]),
        ("aws:policy/AmazonEKSWorkerNodePolicy", []),
        ("111122223333:policy/own", []),
    ):
        arn = f"arn:aws:iam::{policy_}"
        attached = row(attachment, "a", "create", after={"role": "r", "policyArn": arn})
        assert [each.what for each in reviewed([role, attached]).dangers] == found


def test_a_right_that_lost_its_condition_says_which() -> None:
    narrow = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "b"}
    condition = {"StringLike": {"s3:prefix": "me/*"}}
    pair = [{"policy": policy(each)} for each in ({**narrow, "Condition": condition}, narrow)]
    text = markdown([reviewed([row(ROLE_POLICY, "r", "update", *pair)])])
    lines = [line for line in text.splitlines() if "allows `s3:ListBucket`" in line]
    assert len(lines) == 1
    assert "(before only if `StringLike s3:prefix me/*`)" in lines[0]


def test_a_deny_that_goes_with_its_policy_counts_where_the_role_stays() -> None:
    text = policy({"Effect": "Deny", "Action": "iam:*", "Resource": "*"})
    gone = row(ROLE_POLICY, "p", "delete", {"policy": text, "role": "r-0123abc"})
    role = row("aws:iam/role:Role", "r", "delete", {"path": "/"})
    for rows, found in (([gone], ["Prohibition in a policy"]), ([gone, role], [])):
        assert [each.what for each in reviewed(rows).dangers] == found
