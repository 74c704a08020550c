"""Serves the policies to the engine, by Pulumi's own library.

The library would take each resource apart once per policy: 1.4 CPU seconds of a stack of 850
resources and ten policies. Here each is read once, when the engine announces it, while the program
still runs; the policies then look at all of them in one pass.
"""

# The library's server is replaced by one that derives from it; its version is pinned.
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import Any

import pulumi_policy.policy as library
from google.protobuf.struct_pb2 import Struct, Value
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel, PolicyPack, StackValidationPolicy
from pulumi_policy import Severity as LibrarySeverity
from pulumi_policy.deserialize import SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY
from pulumi_policy.proxy import _is_unknown as is_unknown

from policies import exemptions, loading
from policies.exemptions import Exemption
from policies.model import SECRET, UNKNOWN, Policy, Resource, Stack
from policies.verdicts import OWN_POLICIES, Finding, fault_finding, findings

NAME = "kubeflow-on-eks"
FOR_MACHINES = "KUBEFLOW_FINDINGS"
"""Environment variable of a rehearsal: every finding is reported, exempt ones too, and none stops
the engine; the last line of each message is the finding as JSON."""


def serve() -> None:
    """Serves the pack until the engine ends it."""
    # The engine takes the first line of the output for the port.
    with redirect_stdout(sys.stderr):
        policies, problems = loading.attached()
    policies = [*loading.shipped(), *policies]
    reviewed, wrong = exemptions.read(policies=[each.name for each in policies])
    judge = _Judge(policies, reviewed, [*problems, *wrong])

    def server(*arguments: Any, **options: Any) -> Any:
        return _Analyzer(judge, *arguments, **options)

    library._PolicyAnalyzerServicer = server
    PolicyPack(NAME, [_declared(each) for each in [*policies, judge.own]])


def _declared(policy: Policy) -> StackValidationPolicy:
    return StackValidationPolicy(
        policy.name,
        policy.description,
        lambda _arguments, _report: None,
        EnforcementLevel(policy.level),
        severity=LibrarySeverity(policy.severity),
    )


class _Judge:
    def __init__(
        self, policies: Sequence[Policy], reviewed: Sequence[Exemption], problems: Sequence[str]
    ) -> None:
        description = "Every policy loads and runs."
        self.own = Policy(OWN_POLICIES, "high", "mandatory", description, lambda _stack: ())
        self.by_name = {each.name: each for each in [*policies, self.own]}
        self._policies, self._reviewed = policies, reviewed
        self._problems = [fault_finding(sentence) for sentence in problems]

    def findings(self, stack: Stack) -> list[Finding]:
        today = datetime.now(UTC).date()
        return sorted(self._problems + findings(stack, self._policies, self._reviewed, today))


class _Analyzer(library._PolicyAnalyzerServicer):
    def __init__(
        self, judge: _Judge, name: str, version: str, policies: Any, *more: Any, **named: Any
    ) -> None:
        super().__init__(name, version, policies, *more, **named)
        self._judge, self._pack, self._version = judge, name, version
        self._declared = {each.name: each for each in policies}
        self._seen: dict[str, Resource] = {}

    def Remediate(self, request: Any, _context: Any) -> Any:  # noqa: N802, ARG002 the protocol's
        return proto.RemediateResponse()

    def Analyze(self, request: Any, _context: Any) -> Any:  # noqa: N802 the protocol's name
        self._seen[request.urn] = resource_of(request)
        return proto.AnalyzeResponse()

    def AnalyzeStack(self, request: Any, _context: Any) -> Any:  # noqa: N802 the protocol's name
        stack = Stack(
            [self._seen[each.urn] for each in request.resources if each.urn in self._seen]
        )
        response = proto.AnalyzeResponse()
        for finding in self._judge.findings(stack):
            if diagnostic := self._diagnostic(finding):
                response.diagnostics.append(diagnostic)
        return response

    def _diagnostic(self, finding: Finding) -> Any:
        level = self._get_enforcement_level(self._declared[finding.policy])
        message = finding.message
        if level == EnforcementLevel.DISABLED:
            return None
        if os.environ.get(FOR_MACHINES):
            exempt = finding.level == "exempt"
            row = vars(finding) | {"level": "exempt" if exempt else level.value}
            message, level = f"{message}\n{json.dumps(row)}", EnforcementLevel.ADVISORY
        elif finding.level == "exempt":
            return None
        return proto.AnalyzeDiagnostic(
            policyName=finding.policy,
            policyPackName=self._pack,
            policyPackVersion=self._version,
            description=self._judge.by_name[finding.policy].description,
            message=message,
            urn=finding.urn,
            enforcementLevel=self._map_enforcement_level(level),
            severity=self._map_severity(LibrarySeverity(finding.severity)),
        )


def resource_of(request: Any) -> Resource:
    """What the engine announces, as policies read it."""
    secrets: list[str] = []
    provider = request.provider
    region = ""
    if request.HasField("provider") and provider.type == "pulumi:providers:aws":
        region = _plain_struct(provider.properties, []).get("region", "")
    return Resource(
        urn=request.urn,
        type=request.type,
        name=request.name,
        inputs=_plain_struct(request.properties, secrets),
        region="" if region == UNKNOWN else region,
        protect=request.options.protect,
        secrets=tuple(secrets),
    )


def _plain_struct(struct: Struct, secrets: list[str]) -> dict[str, Any]:
    return {key: _plain(value, secrets) for key, value in struct.fields.items()}


def _plain(value: Value, secrets: list[str]) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if is_unknown(value.string_value) else value.string_value
    if kind == "struct_value":
        fields = value.struct_value.fields
        # A lookup in a protobuf map inserts a key that is missing.
        if SPECIAL_SIG_KEY in fields and fields[SPECIAL_SIG_KEY].string_value == SPECIAL_SECRET_SIG:
            secrets += _texts(_plain(fields["value"], secrets))
            return SECRET
        return _plain_struct(value.struct_value, secrets)
    if kind == "list_value":
        return [_plain(item, secrets) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return value.bool_value if kind == "bool_value" else None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in _texts(item)]
