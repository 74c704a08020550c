"""What EC2 tells through EventBridge, on moto: our rules, our queue, Karpenter's reader."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import requests
from moto.server import ThreadedMotoServer

from components.gpu.interruptions import INTERRUPTIONS, QUEUE_RETENTION_SECONDS
from tests.cluster.api_server import process
from tests.elasticity.cluster import ControlPlane
from tests.elasticity.pools import STACK

_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True)
class Ec2Events:
    """The event bus of a simulated account, with the component's rules on it."""

    bus: Any

    def spot_interruption(self, instance: str) -> None:
        """EC2's warning, two minutes before it takes an instance back.

        Its shape is the one in AWS' documentation of Spot instance interruption notices.
        """
        source, detail_type = INTERRUPTIONS["spot-interruption"]
        detail = {"instance-id": instance, "instance-action": "terminate"}
        entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}
        answer = self.bus.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise ValueError(f"the event bus refused {entry}: {answer}")


@contextmanager
def ec2_events(plane: ControlPlane) -> Generator[Ec2Events]:
    """Queue and rules as the component registers them; the AWS provider's controller reads them."""
    with ExitStack() as running:
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        running.callback(server.stop)
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        requests.post(f"{url}/moto-api/reset", timeout=10).raise_for_status()
        session = boto3.Session("test", "test", region_name=STACK)
        sqs, bus = (session.client(name, endpoint_url=url) for name in ("sqs", "events"))
        queue = sqs.create_queue(
            QueueName="interruption",
            Attributes={
                "MessageRetentionPeriod": str(QUEUE_RETENTION_SECONDS),
                "SqsManagedSseEnabled": "true",
            },
        )["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
        for role, (source, detail_type) in INTERRUPTIONS.items():
            pattern = json.dumps({"source": [source], "detail-type": [detail_type]})
            bus.put_rule(Name=role, EventPattern=pattern)
            target = {"Id": "interruption-queue", "Arn": arn["QueueArn"]}
            bus.put_targets(Rule=role, Targets=[target])
        variables = {
            **_CREDENTIALS,
            "KUBECONFIG": str(plane.kubeconfig_file),
            "AWS_REGION": STACK,
            "AWS_ENDPOINT_URL": url,
            "QUEUE_URL": queue,
        }
        log = plane.folder / "interruption.log"
        running.enter_context(process([str(plane.programs.interruption)], log, variables))
        yield Ec2Events(bus)
