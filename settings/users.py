"""Sections of the people of a stack: users with their profiles, and the secrets of the login."""

from __future__ import annotations

import re
from typing import Annotated

from settings import field_types as t
from settings.section import Section


class TeamBucket(Section):
    """A bucket beside the stack's own whose objects a profile may read.

    Attributes:
        bucket: the name or ARN of the bucket, in any account of the partition.
        prefixes: prefixes of its keys, the only ones that the profile reaches; none: the whole
            bucket.
        write: whether the profile may put and delete objects too.
        kms_key_arn: the key that encrypts the objects. None: S3's own.
    """

    bucket: t.TeamBucketName
    prefixes: Annotated[list[t.KeyPrefix], t.Distinct] = []
    write: bool = False
    kms_key_arn: t.KeyArn | None = None

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self.bucket.rpartition(":")[2]


class QuotaSettings(Section):
    """The most that all pods and volumes of a profile may request at once; None: no limit.

    Attributes:
        cpus: the vCPUs that pods request. None: no limit.
        memory_gib: the memory that pods request. None: no limit.
        gpus: whole GPUs; 0: none at all. None: no limit.
        gpu_slices: pods that get a slice of a GPU (``gpuPool.slices``). None: as many as ``gpus``.
        storage_gib: the sum of the sizes of claims. None: no limit.
        pods: pods of any kind, notebooks and steps too. None: no limit.
    """

    cpus: Annotated[int, t.whole(1, 100000, "vCPUs")] | None = None
    memory_gib: Annotated[int, t.whole(1, 1000000, "GiB")] | None = None
    gpus: Annotated[int, t.whole(0, 10000, "GPUs")] | None = None
    gpu_slices: Annotated[int, t.whole(0, 100000, "slices")] | None = None
    storage_gib: Annotated[int, t.whole(1, 10000000, "GiB")] | None = None
    pods: Annotated[int, t.whole(1, 100000, "pods")] | None = None


class User(Section):
    """One user: login and profile namespace. The e-mail address, in lower case, is the identity.

    Attributes:
        email: the address, in lower case, that logs in; it is the identity, and owns the namespace
            for ever.
        namespace: the namespace of the profile: notebooks, runs, experiments and models are in it.
        rotation: the number of the current password; another number draws another one.
        contributors: e-mail addresses of other users who may work in the namespace too.
        buckets: buckets of the team, beside the stack's own, for every pod of the namespace.
        quota: the most that all pods and volumes of the namespace may request at once. None: no
            limit.
    """

    email: t.Email
    namespace: t.ProfileNamespace
    rotation: Annotated[int, t.whole(1, 1000000, "rotations")] = 1
    contributors: Annotated[list[t.Email], t.Distinct] = []
    buckets: list[TeamBucket] = []
    quota: QuotaSettings | None = None


def binding_name(email: str) -> str:
    """The name of a contributor's objects (``kfam/bindings.go``, ``getBindingName``)."""
    return re.sub("[^a-z0-9]+", "-", f"user-{email}-clusterrole-edit")


class LoginSettings(Section):
    """The secrets of the login that no user has; another number draws the value anew.

    Attributes:
        client_rotation: the number of the secret between Dex and its OIDC client; another number
            draws it anew.
        cookie_rotation: the number of the key of session cookies; another one ends every session,
            also those of removed users.
    """

    client_rotation: Annotated[int, t.whole(1, 1000000, "rotations")] = 1
    cookie_rotation: Annotated[int, t.whole(1, 1000000, "rotations")] = 1
