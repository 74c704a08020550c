"""Requests to the platform's own programs, through ``kubectl port-forward`` to one of their pods.

The API server's proxy does not reach them: it is no member of the mesh, so AuthorizationPolicies
refuse it, and it removes the header ``Authorization`` (kubernetes/kubernetes v1.34.0 staging/src/
k8s.io/apiserver/pkg/endpoints/filters/authentication.go). A forwarded connection begins on the
pod's own loopback, which the rules of a sidecar leave alone (istio/istio 1.27.0 tools/
istio-iptables/pkg/capture/run.go).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from http.cookiejar import CookieJar
from threading import Event, Timer

from ops.cli_errors import Refused
from ops.current_cluster import connect_command, current_cluster
from ops.dashboard import Forwarding
from ops.live_cluster import Unavailable
from ops.verification.platform import Platform
from ops.verification.web import Answer, Form, NoConnection, request
from rendering.parts import Part

OPEN_SECONDS = 60.0
_FORWARDING = re.compile(r"Forwarding from (127\.0\.0\.1:\d+) ->")
# Ends kubectl when this process has ended, however: the end of standard input is all that a killed
# process leaves. Without its own copy of standard output, the end of kubectl is seen there.
_SUPERVISED = '"$@" & child=$!; exec >&- 2>&-; cat >/dev/null; kill "$child"'


class Forward:
    """A port of this machine that leads into the cluster; opened when it is asked for.

    The connection ends with the pod; then the next request opens another one.

    Args:
        platform: whose cluster.
        namespace: of the resource.
        resource: ``service/ml-pipeline``, ``pod/a``.
        port: of the Service or the pod.
    """

    def __init__(self, platform: Platform, namespace: str, resource: str, port: int) -> None:
        self._platform, self._place = platform, (namespace, resource, port)
        self._process: subprocess.Popen[str] | None = None
        self._url = ""

    @classmethod
    def to(cls, platform: Platform, part: Part, port: int) -> Forward:
        """A way to the Service of a part of the release."""
        namespace, _, name = str(part.service).partition("/")
        return cls(platform, namespace, f"service/{name}", port)

    def __enter__(self) -> Forward:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:<port>``.

        Raises:
            Refused: kubectl is missing, or forwards nothing; with its own words.
        """
        if self._process is None:
            self._open()
        return self._url

    def request(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        json: object = None,
        form: Form | None = None,
        cookies: CookieJar | None = None,
    ) -> Answer:
        """One request, without following a redirect; arguments as of ``web.request``.

        Raises:
            Unavailable: no answer, so that a wait goes on for a while.
            Refused: as ``url``.
        """
        for last in (False, True):
            try:
                return request(
                    f"{self.url}{path}",
                    method=method,
                    headers=headers,
                    json=json,
                    form=form,
                    cookies=cookies,
                )
            except NoConnection as failure:
                self.close()
                # What was sent may have had its effect.
                if last or not (failure.refused or method == "GET"):
                    namespace, resource, _ = self._place
                    raise Unavailable(
                        f"{resource} of {namespace} does not answer ({failure}): `kubectl "
                        f"--namespace {namespace} get pods` lists its pods."
                    ) from None
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Ends kubectl."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None  # noqa: S101 - for the type checker
            process.stdin.close()
            if process.stdout is not None:
                process.stdout.close()
            process.wait()

    @property
    def _is_gateway(self) -> bool:
        namespace, resource, _ = self._place
        _, _, name = resource.partition("/")
        return f"{namespace}/{name}" == self._platform.parts.gateway.service

    def _open(self) -> None:
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            raise Refused(
                "there is no kubectl on PATH, which leads to the platform's services: install it "
                "(https://kubernetes.io/docs/tasks/tools/)."
            )
        namespace, resource, port = self._place
        current = current_cluster(connect_command(self._platform.settings))
        forwarding = Forwarding(
            *(kubectl, self._platform.stack, current.context, 0, namespace, resource, port),
            what="the gateway" if self._is_gateway else "",
        )
        process = subprocess.Popen(
            ["sh", "-c", _SUPERVISED, "sh", *forwarding.words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C would end the shell alone: kubectl, in its background, ignores it.
            start_new_session=True,
        )
        self._process = process
        # kubectl has no limit of its own: a proxy may keep the connection and never upgrade it.
        late = Event()
        ending = Timer(OPEN_SECONDS, _end, (process, late))
        ending.start()
        try:
            for line in process.stdout or ():
                if found := _FORWARDING.match(line):
                    self._url = f"http://{found[1]}"
                    return
                forwarding.heard(line)
        finally:
            ending.cancel()
        self.close()
        if late.is_set():
            raise Refused(
                f"kubectl forwards nothing to {resource} of {namespace} within {OPEN_SECONDS:.0f} "
                "s: a proxy on the way to the API server has to pass upgraded connections "
                "(WebSocket), or name its host in NO_PROXY."
            )
        raise Refused(forwarding.ended())


def _end(process: subprocess.Popen[str], late: Event) -> None:
    """Ends the shell that supervises kubectl; whoever reads its output finds the reason set."""
    late.set()
    assert process.stdin is not None  # noqa: S101 - for the type checker
    process.stdin.close()
