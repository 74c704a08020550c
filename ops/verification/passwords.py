"""The generated password of a user's login; it is neither printed nor an argument."""

from __future__ import annotations

import json
import os

from ops.account_calls import aws_call
from ops.cli_errors import Refused
from ops.verification.platform import Platform
from settings.users import User

VARIABLE = "KUBEFLOW_LOGIN_PASSWORD"
"""Has the password, for whoever may not read the secret."""


def password_of(platform: Platform, user: User) -> str:
    """From the environment, else from the secret of the output ``login``.

    Raises:
        Refused: it is in neither.
    """
    if given := os.environ.get(VARIABLE):
        return given
    prefix = f"{platform.context.cluster}/kubeflow/login-"
    client = platform.client("secretsmanager")
    with aws_call("secretsmanager"):
        names = {"Key": "name", "Values": [prefix]}
        secrets = client.list_secrets(Filters=[names])["SecretList"]
        own = [each for each in secrets if each["Name"].startswith(prefix)]
        if not own:
            raise Refused(
                f"there is no secret {prefix}... in {platform.settings.region}: run `pulumi up`, "
                f"or give the password in {VARIABLE}."
            )
        newest = max(own, key=lambda each: each["CreatedDate"])
        text = client.get_secret_value(SecretId=newest["ARN"])["SecretString"]
    password = json.loads(text).get(user.email)
    if not password:
        raise Refused(f"the secret {newest['Name']} has no password of {user.email}: `pulumi up`.")
    return str(password)
