"""Katib's API for observation logs as messages and calls.

The fields are those of kubeflow/katib v0.19.0, pkg/apis/manager/v1beta1/api.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

_PACKAGE = "api.v1.beta1"
_MESSAGES = {
    "Metric": ["name", "value"],
    "MetricLog": ["time_stamp", "metric:Metric"],
    "ObservationLog": ["metric_logs:*MetricLog"],
    "ReportObservationLogRequest": ["trial_name", "observation_log:ObservationLog"],
    "ReportObservationLogReply": [],
    "GetObservationLogRequest": ["trial_name", "metric_name", "start_time", "end_time"],
    "GetObservationLogReply": ["observation_log:ObservationLog"],
    "DeleteObservationLogRequest": ["trial_name"],
    "DeleteObservationLogReply": [],
}
"""Message -> its fields, numbered from 1: texts, messages after a colon, ``*`` for repeated."""
_SERVING = b"\x08\x01"
"""A HealthCheckResponse with the status SERVING (grpc/grpc, health.proto)."""


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="api.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, text in enumerate(fields, start=1):
            field_name, _, kind = text.partition(":")
            field = message.field.add(name=field_name, number=number)
            field.label = field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL
            field.type = field.TYPE_MESSAGE if kind else field.TYPE_STRING
            if kind:
                field.type_name = f".{_PACKAGE}.{kind.removeprefix('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _pool()


def call(channel: grpc.Channel, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Calls one of the service's methods; request and reply by the names of their fields.

    Raises:
        grpc.RpcError: the call failed.
    """

    def message(suffix: str) -> Any:
        descriptor = _POOL.FindMessageTypeByName(f"{_PACKAGE}.{method}{suffix}")
        return message_factory.GetMessageClass(descriptor)

    stub = channel.unary_unary(
        f"/{_PACKAGE}.DBManager/{method}",
        request_serializer=message("Request").SerializeToString,
        response_deserializer=message("Reply").FromString,
    )
    sent = json_format.ParseDict(dict(request), message("Request")())
    reply = stub(sent, timeout=120)
    return json_format.MessageToDict(reply, preserving_proto_field_name=True)


def is_healthy(channel: grpc.Channel) -> bool:
    """What the kubelet's gRPC probe asks; it waits for the server."""
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    return check(b"", timeout=300, wait_for_ready=True) == _SERVING
