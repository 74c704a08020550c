"""IAM's documents decide as AWS documents it, and what is not covered is an error."""

from __future__ import annotations

from typing import Any

import pytest

from tests.consumers.access_decisions import Access, Caller, Document, UnknownConstruct, decision

ACCOUNT = "arn:aws:iam::111122223333:root"
ROLE = "arn:aws:iam::111122223333:role/reader"
BUCKET = "arn:aws:s3:::amzn-s3-demo-bucket"
KEY = "arn:aws:kms:us-west-2:111122223333:key/1234abcd"


def policy(*statements: dict[str, Any]) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(
    action: Any = "s3:GetObject", resource: Any = f"{BUCKET}/*", **more: Any
) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def caller(*documents: Document) -> Caller:
    return Caller({"AWS": frozenset({ROLE})}, ACCOUNT, documents)


def one(condition: dict[str, Any], context: dict[str, Any]) -> bool:
    """Whether an Allow with a condition allows a request with these condition keys."""
    document = policy(allow(Condition=condition))
    return decision(caller(document), Access("s3:GetObject", f"{BUCKET}/a", context)) == "allowed"


def test_nothing_is_allowed_without_a_statement() -> None:
    assert decision(caller(), Access("s3:GetObject", f"{BUCKET}/a")) == "denied"


def test_an_explicit_deny_overrides_any_allow() -> None:
    """Wherever it stands: reference_policies_evaluation-logic.html."""
    access = Access("s3:GetObject", f"{BUCKET}/a")
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    assert decision(caller(policy(allow(), deny)), access) == "denied"
    assert decision(caller(policy(deny), policy(allow())), access) == "denied"
    of_bucket = policy({**deny, "Principal": "*"})
    assert decision(caller(policy(allow())), access, of_bucket) == "denied"


@pytest.mark.parametrize(
    ("pattern", "action", "matches"),
    [
        ("s3:GetObject", "s3:GetObject", True),
        ("s3:getobject", "s3:GetObject", True),
        ("s3:Get*", "s3:GetObjectVersion", True),
        ("s3:GetObject", "s3:GetObjectVersion", False),
        ("s3:?etObject", "s3:GetObject", True),
        ("*", "s3:GetObject", True),
        ("iam:*AccessKey*", "iam:ListAccessKeys", True),
        ("iam:*AccessKey*", "iam:ListUsers", False),
    ],
)
def test_actions_are_patterns_in_any_case(pattern: str, action: str, matches: bool) -> None:
    """reference_policies_elements_action.html."""
    document = policy(allow(pattern, "*"))
    assert (decision(caller(document), Access(action, f"{BUCKET}/a")) == "allowed") is matches


@pytest.mark.parametrize(
    ("resource", "matches"),
    [
        (f"{BUCKET}/a/b", True),
        (f"{BUCKET}/A/b", False),
        (f"{BUCKET}/a", False),
        (f"{BUCKET}/ab/c", False),
    ],
)
def test_resources_are_patterns_in_their_own_case(resource: str, matches: bool) -> None:
    document = policy(allow(resource=f"{BUCKET}/a/*"))
    assert (decision(caller(document), Access("s3:GetObject", resource)) == "allowed") is matches


def test_a_statement_of_what_is_not_meant_covers_all_else() -> None:
    """reference_policies_elements_notaction.html, "NotAction with Deny"."""
    document = policy(
        allow("s3:*", "*"), {"Effect": "Deny", "NotAction": "s3:Get*", "NotResource": f"{BUCKET}/b"}
    )
    assert decision(caller(document), Access("s3:GetObject", f"{BUCKET}/a")) == "allowed"
    assert decision(caller(document), Access("s3:PutObject", f"{BUCKET}/a")) == "denied"
    assert decision(caller(document), Access("s3:PutObject", f"{BUCKET}/b")) == "allowed"


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        # S3 user guide, amazon-s3-policy-keys.html: a listing below a prefix
        ({"StringEquals": {"s3:prefix": "projects"}}, {"s3:prefix": "projects"}, True),
        ({"StringEquals": {"s3:prefix": "projects"}}, {"s3:prefix": "Projects"}, False),
        ({"StringEquals": {"s3:prefix": "projects"}}, {}, False),
        ({"StringEquals": {"s3:prefix": ["", "home/"]}}, {"s3:prefix": ""}, True),
        ({"StringLike": {"s3:prefix": ["home/*"]}}, {"s3:prefix": "home/a/b"}, True),
        ({"StringLike": {"s3:prefix": ["home/*"]}}, {"s3:prefix": "homes/a"}, False),
        ({"StringLike": {"S3:Prefix": ["home/*"]}}, {"s3:prefix": "home/a"}, True),
        # reference_policies_elements_condition_operators.html: negated, and without the key
        ({"StringNotEquals": {"s3:prefix": "a"}}, {}, True),
        ({"StringNotEquals": {"k": "a"}}, {"k": "a"}, False),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "c"}, True),
        ({"StringNotLike": {"k": "a*"}}, {"k": "ab"}, False),
        ({"StringEqualsIfExists": {"s3:prefix": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"k": "a"}}, {"k": "b"}, False),
        # the same page, "Condition operator to check existence of condition keys"
        ({"Null": {"s3:prefix": "true"}}, {}, True),
        ({"Null": {"s3:prefix": True}}, {}, True),
        ({"Null": {"s3:prefix": False}}, {}, False),
        ({"Null": {"aws:TokenIssueTime": "true"}}, {"aws:TokenIssueTime": "2026"}, False),
        ({"Null": {"aws:TokenIssueTime": "false"}}, {"aws:TokenIssueTime": "2026"}, True),
        # and "Boolean condition operators", "ARN condition operators"
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "false"}, True),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws:SecureTransport": "false"}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "true"}, False),
        ({"ArnLike": {"k": "arn:aws:sns:*:1:t*"}}, {"k": "arn:aws:sns:r:1:topic"}, True),
        ({"ArnLike": {"k": "arn:aws:sns:*:topic"}}, {"k": "arn:aws:sns:r:1:topic"}, False),
        ({"ArnEquals": {"k": "arn:aws:sns:r:1:*"}}, {"k": "arn:aws:sns:r:1:topic"}, True),
        ({"ArnNotLike": {"k": "arn:aws:sns:r:1:*"}}, {"k": "arn:aws:sns:r:1:topic"}, False),
        # several keys and operators are all needed; several values are alternatives
        ({"StringEquals": {"s3:delimiter": "/", "s3:prefix": "a"}}, {"s3:delimiter": "/"}, False),
        ({"StringEquals": {"a": "1", "b": "2"}}, {"a": "1", "b": "1"}, False),
        ({"StringEquals": {"a": "1"}, "StringLike": {"b": "2*"}}, {"a": "1", "b": "22"}, True),
        ({"StringEquals": {"aud": "sts"}}, {"aud": ["other", "sts"]}, True),
        # reference_policies_condition-single-vs-multi-valued-context-keys.html
        ({"ForAllValues:StringEquals": {"tags": ["a", "b"]}}, {"tags": ["b", "a"]}, True),
        ({"ForAllValues:StringEquals": {"tags": ["a", "b"]}}, {"tags": ["a", "c"]}, False),
        ({"ForAllValues:StringEquals": {"s3:prefix": "a"}}, {}, True),
        ({"ForAnyValue:StringLike": {"tags": "a*"}}, {"tags": ["b", "ab"]}, True),
        ({"ForAnyValue:StringLike": {"tags": "a*"}}, {"tags": ["b"]}, False),
        ({"ForAnyValue:StringLike": {"s3:prefix": "a*"}}, {}, False),
    ],
)
def test_conditions_hold_as_documented(
    condition: dict[str, Any], context: dict[str, Any], holds: bool
) -> None:
    assert one(condition, context) is holds


def test_a_bucket_policy_alone_can_allow_a_role_of_its_account() -> None:
    access = Access("s3:GetObject", f"{BUCKET}/a")
    assert decision(caller(), access, policy(allow(Principal={"AWS": ROLE}))) == "allowed"
    assert decision(caller(), access, policy(allow(Principal={"AWS": f"{ROLE}s"}))) == "denied"
    # the account's own name lets its administrators decide and allows no role by itself
    assert decision(caller(), access, policy(allow(Principal={"AWS": ACCOUNT}))) == "denied"


@pytest.mark.parametrize(
    ("principal", "documents", "expected"),
    [
        (ACCOUNT, [policy(allow("kms:Decrypt", KEY))], "allowed"),
        (ACCOUNT, [], "denied"),
        (f"{ROLE}s", [policy(allow("kms:Decrypt", KEY))], "denied"),
        (ROLE, [], "allowed"),
    ],
)
def test_a_key_is_used_only_as_its_own_policy_lets(
    principal: str, documents: list[Document], expected: str
) -> None:
    """KMS developer guide, key-policy-default.html."""
    of_key = policy(allow("kms:Decrypt", "*", Principal={"AWS": principal}))
    assert decision(caller(*documents), Access("kms:Decrypt", KEY), of_key) == expected


@pytest.mark.parametrize(
    ("subject", "audience", "expected"),
    [
        ("system:serviceaccount:kubeflow:ml-pipeline", "sts.amazonaws.com", "allowed"),
        ("system:serviceaccount:kubeflow:ml-pipeline-ui", "sts.amazonaws.com", "denied"),
        ("system:serviceaccount:kubeflow:ml-pipeline", "kubernetes", "denied"),
    ],
)
def test_a_role_is_assumed_by_the_service_account_it_trusts(
    subject: str, audience: str, expected: str
) -> None:
    """EKS user guide, iam-roles-for-service-accounts: issuer, subject and audience."""
    issuer = "oidc.eks.us-west-2.amazonaws.com/id/ABC"
    provider = f"arn:aws:iam::111122223333:oidc-provider/{issuer}"
    equal = {
        f"{issuer}:sub": "system:serviceaccount:kubeflow:ml-pipeline",
        f"{issuer}:aud": "sts.amazonaws.com",
    }
    trust = policy(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": equal},
        }
    )
    token = {f"{issuer}:sub": subject, f"{issuer}:aud": audience}
    asked = Access("sts:AssumeRoleWithWebIdentity", ROLE, token)
    assert decision(Caller({"Federated": frozenset({provider})}), asked, trust) == expected
    stranger = Caller({"Federated": frozenset({f"{provider}D"})})
    assert decision(stranger, asked, trust) == "denied"


@pytest.mark.parametrize(
    "statement",
    [
        allow(Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}),
        allow(Condition={"NullIfExists": {"k": "true"}}),
        allow(Condition={"ForSomeValues:StringEquals": {"aws:TagKeys": "a"}}),
        allow(resource=f"{BUCKET}/${{aws:username}}/*"),
        allow(Condition={"StringEquals": {"k": "${aws:username}"}}),
        allow(NotPrincipal={"AWS": ROLE}),
        allow(Effects="Allow"),
        {"Effect": "allow", "Action": "s3:*", "Resource": "*"},
        # keys that AWS adds to every request, and this access says nothing of
        allow(Condition={"Null": {"aws:PrincipalArn": "true"}}),
        allow(Condition={"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}),
        allow(Condition={"StringNotEqualsIfExists": {"s3:max-keys": "1"}}),
        allow(Condition={"Null": {"k": "yes"}}),
        allow(Condition={"StringEquals": {"k": 1}}),
        allow(Principal="*"),
        {"Effect": "Allow", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:*", "NotAction": "s3:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:*"},
    ],
)
def test_what_is_not_covered_is_an_error_and_never_an_allow(statement: dict[str, Any]) -> None:
    with pytest.raises(UnknownConstruct):
        decision(caller(policy(statement)), Access("s3:GetObject", f"{BUCKET}/a", {"k": "a"}))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"Principal": {"AWS": "111122223333"}},
        {"Principal": {"AWS": ["arn:aws:iam::111122223333:user/a"]}},
        {"Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/reader/session"}},
        {"Principal": {"AWS": "AROAEXAMPLE"}},
        {"Principal": {"Federated": "*"}},
        {"Principal": {"Service": "*"}},
        {"Principal": {"CanonicalUser": "79a5"}},
        {"Principal": "111122223333"},
        {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}},
        {"Principal": "*", "Condition": {"ArnLike": {"aws:PrincipalArn": f"{ROLE}*"}}},
        {"Principal": "*", "Condition": {"Bool": {"aws:ViaAWSService": "false"}}},
    ],
)
def test_a_denial_that_is_not_covered_is_an_error(more: dict[str, Any]) -> None:
    of_bucket = policy({"Effect": "Deny", "Action": "s3:*", "Resource": "*", **more})
    with pytest.raises(UnknownConstruct):
        decision(caller(policy(allow())), Access("s3:GetObject", f"{BUCKET}/a"), of_bucket)


def test_a_statement_about_others_or_other_resources_does_not_apply() -> None:
    access = Access("s3:GetObject", f"{BUCKET}/a")
    others = [
        {"Principal": {"AWS": f"{ROLE}s"}, "Condition": {"Null": {"aws:PrincipalArn": "false"}}},
        {"Principal": {"Service": ["ec2.amazonaws.com"]}},
        {"Principal": "*", "NotResource": f"{BUCKET}/*"},
    ]
    for each in others:
        elsewhere = each if "NotResource" in each else {"Resource": "*", **each}
        of_bucket = policy({"Effect": "Deny", "Action": "s3:*", **elsewhere})
        assert decision(caller(policy(allow())), access, of_bucket) == "allowed"
        given = policy({"Effect": "Allow", "Action": "s3:*", **elsewhere})
        assert decision(caller(), access, given) == "denied"


@pytest.mark.parametrize(
    ("principal", "documents", "expected"),
    [
        ({"Service": "ec2.amazonaws.com"}, [policy(allow("sts:*", "*"))], "denied"),
        ({"AWS": f"{ROLE}s"}, [policy(allow("sts:*", "*"))], "denied"),
        ({"AWS": ACCOUNT}, [policy(allow("sts:*", "*"))], "allowed"),
        ({"AWS": ACCOUNT}, [], "denied"),
        ({"AWS": ROLE}, [], "allowed"),
    ],
)
def test_a_role_is_assumed_only_as_its_trust_policy_lets(
    principal: dict[str, str], documents: list[Document], expected: str
) -> None:
    """reference_policies_evaluation-logic.html, "Granting roles"; without a trust policy: no."""
    access = Access("sts:AssumeRole", "arn:aws:iam::111122223333:role/other")
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal})
    assert decision(caller(*documents), access, trust) == expected
    assert decision(caller(*documents), access) == "denied"


@pytest.mark.parametrize("more", [{"Version": "2008-10-17"}, {"Version": None}, {"Other": 1}])
def test_another_version_or_form_of_document_is_an_error(more: dict[str, Any]) -> None:
    document = {key: value for key, value in {**policy(allow()), **more}.items() if value}
    for each in (document, {"Version": "2012-10-17"}):
        with pytest.raises(UnknownConstruct):
            decision(caller(each), Access("s3:GetObject", BUCKET))
