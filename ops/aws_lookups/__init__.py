"""Where an interrupted creation left its thing in AWS: a look-up per type of resource.

A look-up returns every thing that the inputs of the creation describe: by the name in them, which
the program or Pulumi gave, else by the stack's tags, which are part of the creation. All calls are
read-only. The ids are those of ``pulumi import`` on each type's page below
https://www.pulumi.com/registry/packages/aws/api-docs/, also in the docstrings of pulumi_aws.
"""

from __future__ import annotations

from ops.aws_lookups import by_name, ec2
from ops.aws_lookups.account import Account, Inputs
from ops.aws_lookups.look_up import Thing

LOOK_UPS = {**by_name.LOOK_UPS, **ec2.LOOK_UPS}
HARMLESS = {
    "aws:cloudwatch/eventTarget:EventTarget": "events:PutTargets updates a target of the same id",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "the group of the VPC is adopted",
    "aws:efs/backupPolicy:BackupPolicy": "elasticfilesystem:PutBackupPolicy replaces",
    "aws:efs/fileSystemPolicy:FileSystemPolicy": "elasticfilesystem:PutFileSystemPolicy replaces",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (
        "iam:AttachRolePolicy has no error for what is attached"
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (
        "lambda:PutFunctionEventInvokeConfig overwrites"
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        "s3:PutBucketLifecycleConfiguration replaces"
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (
        "s3:PutBucketOwnershipControls replaces"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": "s3:PutBucketPolicy replaces",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "s3:PutPublicAccessBlock replaces",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "s3:PutBucketEncryption replaces"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": "s3:PutBucketVersioning replaces",
    "aws:secretsmanager/secretVersion:SecretVersion": (
        "secretsmanager:PutSecretValue makes a newer version the current one"
    ),
    "aws:sqs/queuePolicy:QueuePolicy": "sqs:SetQueueAttributes replaces",
}
"""Type -> why a second creation leaves nothing behind (each API's page in AWS's reference).

Only types whose inputs have no name of their own: a name that Pulumi adds is another one next time,
so that the first thing would stay behind even where the API overwrites.
"""


def things(account: Account, type_: str, inputs: Inputs) -> list[Thing]:
    """Everything that the inputs of a creation describe.

    Raises:
        Undescribed: the inputs lack the value that the look-up is by.
        CallFailed: AWS refuses a call, or is out of reach.
        KeyError: there is no look-up for the type.
    """
    return list(LOOK_UPS[type_](account, inputs))
