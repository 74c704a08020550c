"""The boundary without any pod: a stack's rules as a policy that the API server judges by.

The webhook is a program, which may be down, and rewrites images; the policy, which is part of the
API server, admits or refuses the result. It is generated from the same rules, with the same
expressions (``webhook.rules``), so that one table of ways around both judges them. Where the common
expression language has no means for what the handler does, the policy refuses: a copy whose name
contains its source in escapes, a port with leading zeros.

k8s.io/api admissionregistration/v1; the libraries of expressions are those of Kubernetes
(kubernetes.io/docs/reference/using-api/cel).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from images import hosts
from images.reference import (
    DIGEST,
    DOCKER_HUB,
    ECR_LABELS,
    ECR_SUFFIXES,
    HOST,
    HUB_ALIASES,
    LONGEST_IMAGE,
    PATH,
    TAG,
    EcrRegistry,
    ecr_registry,
    parse,
)
from webhook.rules import EVERYTHING, Action, Rule, allowing, denying, namespaced

NAME = "image-mirror"
_NODES, _STATIC_POD = "system:nodes", "kubernetes.io/config.mirror"
_IMAGE = (
    rf"^(?:(?:{HOST}|\[[a-fA-F0-9:]+\])(?::[1-9][0-9]{{0,4}})?/)?"
    rf"{PATH}(?::{TAG})?(?:@(?:{DIGEST}))?$"
)


def admission_policy(
    registry: str,
    rules: Sequence[Rule],
    platform: Iterable[str],
    namespaces: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """The ValidatingAdmissionPolicy of a stack and its binding.

    Args:
        registry: of copies, ``<ecr host>/<prefix>``.
        rules: the stack's.
        platform: the platform's own images as their sources name them; no rule refuses them.
        namespaces: the selector of those whose pods are judged.
    """
    own = ecr_registry(registry.partition("/")[0])
    if own is None:
        raise ValueError(f"{registry} is no registry of ECR")
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "matchPolicy": "Equivalent",
                "namespaceSelector": dict(namespaces),
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["pods", "pods/ephemeralcontainers"],
                        "scope": "Namespaced",
                    }
                ],
            },
            "matchConditions": [{"name": "not-shown-by-a-node", "expression": _NOT_OF_A_NODE}],
            "variables": [
                {"name": name, "expression": expression}
                for name, expression in _variables(registry, own, rules, platform)
            ],
            "validations": [
                {
                    "expression": "variables.refused.size() == 0",
                    "message": "image-mirror: images of this pod are not allowed by a rule of this "
                    "cluster",
                    "messageExpression": "'image-mirror: not allowed in namespace ' + "
                    "request.namespace + ' by a rule of this cluster: ' + "
                    "variables.refused.join(', ') + '; use another image, or ask an administrator "
                    "for a rule (imageMirror.rules)'",
                    "reason": "Forbidden",
                }
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME, "validationActions": ["Deny"]},
    }
    return [policy, binding]


_NOT_OF_A_NODE = (
    f"!(has(request.userInfo.groups) && {_NODES!r} in request.userInfo.groups && "
    f"has(object.metadata.annotations) && {_STATIC_POD!r} in object.metadata.annotations)"
)


def _variables(
    registry: str, own: EcrRegistry, rules: Sequence[Rule], platform: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Name -> expression; each uses those before it.

    From ``named`` on, a list of maps: ``raw`` as written, ``name`` without tag and digest.
    """
    references = [parse(image) for image in platform]
    known = {str(each) for each in references} | {each.mirrored(registry) for each in references}
    prefix = registry.partition("/")[2]
    yield "images", _images("object")
    yield "before", f"request.operation == 'UPDATE' ? {_images('oldObject')} : []"
    yield "new", "variables.images.filter(i, !(i in variables.before))"
    yield "platform", json.dumps(sorted(known))
    yield "mirrors", _text_map(hosts.table().mirrored)
    yield "flattened", _text_map(hosts.table().flattened)
    yield "pulledThrough", _text_map(hosts.table().pulled_through)
    yield "handing", json.dumps(_handing())
    yield "bare", _mapped("new", raw="i", name="i.split('@')[0]")
    # A colon before the last slash belongs to a port.
    tagless = "i.name.matches(':[^/]*$') ? i.name.substring(0, i.name.lastIndexOf(':')) : i.name"
    yield "tagless", _mapped("bare", raw="i.raw", name=tagless)
    hosted = (
        "i.name.contains('/') && (i.name.split('/')[0].matches('[.:A-Z]') || "
        f"i.name.startsWith('localhost/')) ? i.name.lowerAscii() : '{DOCKER_HUB}/' + i.name"
    )
    yield "hosted", _mapped("tagless", raw="i.raw", name=hosted)
    tls = "i.name.matches('^[^/]+:443/') ? i.name.replace(':443/', '/', 1) : i.name"
    yield "named", _mapped("hosted", raw="i.raw", name=tls)
    inside = f"i.name.matches({_raw(_own_hosts(own) + re.escape(prefix) + '/')})"
    rest = f"i.name.substring(i.name.indexOf('/') + {len(prefix) + 2})"
    yield (
        "placed",
        _mapped("named", raw="i.raw", name="i.name", rest=f"{inside} ? {rest} : ''"),
    )
    yield "traced", _mapped("placed", raw="i.raw", name=_origin("i"), known=_known("i"))
    yield (
        "canonical",
        _mapped("traced", raw="i.raw", name=_canonical("i.name"), known="i.known"),
    )
    # A mirror of everything may have the name of another mirror in its path.
    carried = {"raw": "i.raw", "name": "i.name", "known": "i.known"}
    plain = r"i.name.matches(r'^[^/\[]+:[0-9]+/')"
    cut = "i.name.split(':')[0] + i.name.substring(i.name.indexOf('/'))"
    yield "portless", _mapped("canonical", **carried, source=f"{plain} ? {cut} : i.name")
    yield "hub", _mapped("portless", **carried, source=_canonical("i.source"))
    # The table has "*" for the first label of hosts of which accounts have one each.
    families = [host[1:] for host in hosts.table().mirrored if host.startswith("*.")]
    one_of_many = f"i.source.matches({_raw(rf'^[^./]+(?:{_either(families)})/')})"
    carried["source"] = "i.source"
    yield "inside", _mapped("hub", **carried, also=_tails(families))
    yield "handed", _mapped("inside", **carried, also=_each_line(_at_source(families)))
    # What a mirror has may be a cache of another registry, and both names count.
    both = "i.also + '\\n' + " + _each_line(_uncached())
    yield "uncached", _mapped("handed", **carried, also=both)
    yield "also", _mapped("uncached", **carried, also=_each_line(_canonical("t")))
    carried = {"raw": "i.raw", "name": "i.name", "known": "i.known", "also": "i.also"}
    starred = f"{one_of_many} ? '*' + i.source.substring(i.source.indexOf('.')) : i.source"
    yield "starred", _mapped("also", **carried, source=starred)
    yield "sourced", _mapped("starred", **carried, source=_source("i.source"))
    yield "cleaned", _mapped("sourced", **carried, source=_canonical("i.source"))
    yield "sourcedTwice", _mapped("cleaned", **carried, source=_source("i.source"))
    yield "subjects", _mapped("sourcedTwice", **carried, source=_canonical("i.source"))
    image = f"i.raw.matches({_raw(_IMAGE)}) && !i.raw.matches('^[a-f0-9]{{64}}$')"
    readable = f"size(i.raw) <= {LONGEST_IMAGE} && {image}"
    allowed = f"i.raw in variables.platform || ({readable} && {_allowed(rules, own)})"
    said = f"{readable} ? i.raw : 'what is no image reference'"
    yield "refused", f"variables.subjects.filter(i, !({allowed})).map(i, {said})"


def _images(obj: str) -> str:
    """Every image that a pod pulls."""
    kinds = ("containers", "initContainers", "ephemeralContainers")
    lists = [
        f"(has({obj}.spec.{kind}) ? {obj}.spec.{kind}.filter(c, has(c.image) && c.image != '')"
        ".map(c, string(c.image)) : [])"
        for kind in kinds
    ]
    volumes = (
        f"(has({obj}.spec.volumes) ? {obj}.spec.volumes.filter(v, has(v.image) && "
        "has(v.image.reference)).map(v, string(v.image.reference)) : [])"
    )
    return " + ".join([*lists, volumes])


def _mapped(variable: str, /, **fields: str) -> str:
    """A list of maps, of each ``i`` of the list of a variable."""
    entries = ", ".join(f"'{key}': {expression}" for key, expression in fields.items())
    return f"variables.{variable}.map(i, {{{entries}}})"


def _origin(item: str) -> str:
    """The source that is part of a copy's name; the name itself of every other image."""
    rest = f"{item}.rest"
    port = f"({rest}.startsWith('port-443/') ? '' : ':' + {rest}.split('/')[0].substring(5))"
    behind = f"{rest}.substring({rest}.indexOf('/', {rest}.indexOf('/') + 1))"
    return (
        f"{rest}.matches({_raw(_PORT_AND_HOST)}) ? {rest}.split('/')[1] + {port} + {behind} : "
        f"{rest}.matches({_raw(_A_HOST)}) ? {rest} : {item}.name"
    )


_PORT_AND_HOST = r"^port-[0-9]+/[^/]*\.[^/]*/."
_A_HOST = r"^(?:[^/]*[.:][^/]*|localhost)/."
_ESCAPED = r"^(?:hashed|host|ipv6-[^/]*|port-[0-9]+)/"


def _known(item: str) -> str:
    rest = f"{item}.rest"
    told = f"{rest}.matches({_raw(_PORT_AND_HOST)}) || !{rest}.matches({_raw(_ESCAPED)})"
    return f"{told} ? 'yes' : 'no'"


def _canonical(name: str) -> str:
    """The one name of Docker Hub."""
    aliases = "|".join(map(re.escape, HUB_ALIASES))
    rest = f"{name}.substring({name}.indexOf('/'))"
    hub = f"'{DOCKER_HUB}' + {rest}"
    single = rf"^(?:{aliases}|{re.escape(DOCKER_HUB)})/[^/]+$"
    return (
        f"{name}.matches({_raw(single)}) ? '{DOCKER_HUB}/library' + {rest} : "
        f"{name}.matches({_raw(f'^(?:{aliases})/')}) ? {hub} : {name}"
    )


def _source(name: str) -> str:
    """What a mirror has the image of, as ``images.hosts.source_of``."""
    host, rest = f"{name}.split('/')[0]", f"{name}.substring({name}.indexOf('/') + 1)"
    of = f"variables.mirrors[{host}]"
    within = rf"{rest}.matches('^[^/]*[.]') ? {rest} : {name}"
    return (
        f"{host} in variables.mirrors ? ({of} == '*' ? ({within}) : {of} + '/' + {rest}) : "
        f"{name} in variables.flattened ? variables.flattened[{name}] : {name}"
    )


# Below: names with mirrors and caches anywhere in them, as ``images.hosts.handed_on``; a text has
# all of one image, in lines, of which no name has any.


def _handing() -> list[str]:
    """The hosts of mirrors and caches; those of which accounts have one each are not here."""
    table = hosts.table()
    mirrors = {host for host, of in table.mirrored.items() if of != "*" and host[0] != "*"}
    names = (*table.cached, *table.flattened)
    return sorted(mirrors | {name.partition("/")[0] for name in names})


def _one_of_many(families: Iterable[str]) -> str:
    return f"[^./]+(?:{_either(families)})"


def _ecr_with_caches() -> str:
    """Every host of ECR where it offers caches, and of GovCloud, which shares the suffix."""
    realms = hosts.table().realms
    suffixes = [suffix for suffix, realm in ECR_SUFFIXES.items() if realm in realms]
    return rf"[0-9]{{12}}\.{ECR_LABELS}\.[a-z0-9-]+\.(?:{_either(suffixes)})"


def _tails(families: Iterable[str]) -> str:
    """The ends of ``i.source`` that begin with such a host; of one that is there twice, both."""
    hosted = "i.source.substring(0, i.source.lastIndexOf('/')).split('/')"
    many = _raw(f"^(?:{_one_of_many(families)}|{_ecr_with_caches()})$")
    full = "('/' + i.source)"
    first, last = (
        f"{full}.substring({full}.{index}('/' + p + '/') + 1)"
        for index in ("indexOf", "lastIndexOf")
    )
    handing = f"p in variables.handing || p.matches({many})"
    return f"{hosted}.filter(p, {handing}).map(p, {first} + '\\n' + {last}).join('\\n')"


def _each_line(expression: str) -> str:
    """``i.also`` with an expression of each line ``t``."""
    return f"i.also.split('\\n').map(t, {expression}).join('\\n')"


def _at_source(families: Iterable[str]) -> str:
    """The line ``t`` at its source, but for caches."""
    host, rest = "t.split('/')[0]", "t.substring(t.indexOf('/') + 1)"
    mirror = f"{host} in variables.mirrors ? variables.mirrors[{host}] + '/' + {rest}"
    family = f"variables.mirrors['*' + {host}.substring({host}.indexOf('.'))]"
    prefixes = _either(hosts.table().pulled_through)
    through = rf"^{_ecr_with_caches()}/(?:{prefixes})/"
    cached = f"t.matches({_raw(through)}) && !t.matches('^[^/]*-gov-')"
    return (
        f"{mirror} : t.matches({_raw(rf'^{_one_of_many(families)}/')}) ? {family} + '/' + {rest} : "
        f"{cached} ? variables.pulledThrough[t.split('/')[1]] + "
        "t.substring(t.indexOf('/', t.indexOf('/') + 1)) : "
        "t in variables.flattened ? variables.flattened[t] : t"
    )


def _uncached() -> str:
    """The line ``t`` at its source, of an image in a cache of another registry."""
    chain = (
        f"t.startsWith('{start}/') ? '{source}' + t.substring({len(start)}) : "
        for start, source in hosts.table().cached.items()
    )
    return f"{''.join(chain)}t"


def _allowed(rules: Sequence[Rule], own: EcrRegistry) -> str:
    """Whether the first rule that covers ``i`` allows it."""
    here = _reachable(own)
    chain = ""
    for rule in rules:
        where = _any("request.namespace", map(namespaced, rule.namespaces))
        if rule.action is Action.DENY:
            read = [denying(each) for each in rule.registries]
            fits = f"{_covers(['i.name', 'i.source'], read)} || {_any('i.also', read, '(?m)')}"
            covers, then = f"(i.known == 'no' || {fits})", "false"
        else:
            read = [allowing(each) for each in rule.registries]
            # What is judged here is what nodes pull: the webhook has been there.
            known = "true" if EVERYTHING in rule.registries else "i.known == 'yes'"
            covers, then = (
                f"({known} && {_covers(['i.name'], read)})",
                here if rule.everywhere else "true",
            )
        chain += f"({where} && {covers}) ? {then} : "
    return f"({chain}{here})"


def _covers(names: Sequence[str], expressions: Iterable[str]) -> str:
    listed = list(expressions)
    return "(" + " || ".join(_any(name, listed) for name in names) + ")"


def _any(value: str, expressions: Iterable[str], flags: str = "") -> str:
    listed = list(expressions)
    if ".*" in listed:
        return "true"
    return f"{value}.matches({_raw(flags + '^(?:' + '|'.join(listed) + ')$')})"


def _reachable(own: EcrRegistry) -> str:
    """Whether nodes have a login of the registry of ECR, if it is one."""
    region, end = "[a-z0-9-]+", "(?::[0-9]+)?(?:/|$)"

    def host(suffixes: Iterable[str]) -> str:
        return (
            rf"^[0-9]{{12}}\.{ECR_LABELS}\.{region}\.(?:{'|'.join(map(re.escape, suffixes))}){end}"
        )

    plain, _, gov = own.realm.partition("/")
    ours = [suffix for suffix, of in ECR_SUFFIXES.items() if of == plain]
    govcloud = "i.name.matches('^[^/]*-gov-')"
    return (
        f"(!i.name.matches({_raw(host(ECR_SUFFIXES))}) || (i.name.matches({_raw(host(ours))}) && "
        f"{govcloud if gov else '!' + govcloud}))"
    )


def _own_hosts(own: EcrRegistry) -> str:
    """Every host of a registry, up to the slash."""
    plain = own.realm.partition("/")[0]
    suffixes = [suffix for suffix, of in ECR_SUFFIXES.items() if of == plain]
    ends = "|".join(map(re.escape, suffixes))
    return rf"^{own.account}\.{ECR_LABELS}\.{re.escape(own.region)}\.(?:{ends})/"


def _either(texts: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(texts)))


def _text_map(values: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(values.items())))


def _raw(expression: str) -> str:
    """A regular expression as a raw string of the expression language."""
    return f"r'{expression}'"
