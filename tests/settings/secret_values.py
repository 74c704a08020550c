"""Values of a plan or a stack file that are secrets, by the name of their place or by their form.

One table for the sentences about settings and for reviews, which both show values.
"""

from __future__ import annotations

from typing import Any

PLANTED = "hunter2-Planted-0123456789"
_AWS_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HIDDEN = (PLANTED, "MIIE", "AKIAIOSFODNN7EXAMPLE", "$2b$12$", "$6$", _AWS_KEY, "aGVsbG8")
"""What of the values below nobody may read."""
_PEM = f"-----BEGIN RSA PRIVATE KEY-----\nMIIE{PLANTED}\n-----END RSA PRIVATE KEY-----"
_JWT = f"eyJhbGciOiJIUzI1NiJ9.{'eyJzdWIiOiIxIn0'}.{PLANTED}"

SECRETS: list[tuple[str, Any]] = [
    ("password", PLANTED),
    ("password", 12345678),
    ("masterUserPassword", PLANTED),
    ("environment.variables.API_TOKEN", PLANTED),
    ("secretString", PLANTED),
    ("data.DB_PASS", PLANTED),
    ("data.SECRET_KEY_BASE", PLANTED),
    ("data.DB_PASSWORD_1", PLANTED),
    ("data.apikey", PLANTED),
    ("data.passwordPrevious", PLANTED),
    ("data.auth", PLANTED),
    ("data.\u5bc6\u7801", PLANTED),
    ("spec.containers[app].env[DB_PASSWORD].value", PLANTED),
    ("env[PGPASS].value", PLANTED),
    ("env[MYSQL_PWD].value", PLANTED),
    ("env", [{"name": "DB_PASSWORD", "value": PLANTED}]),
    ("data.passwords", {"alice": PLANTED}),
    ("data.credentials", {"user": "a", "x": PLANTED}),
    ("data.tokens.alice", PLANTED),
    ("data.secrets", [PLANTED]),
    ("args", ["--token", f"TOKEN={PLANTED}"]),
    ("args", ["--password", PLANTED]),
    ("args", ["-p", PLANTED]),
    ("args", [f"--password={PLANTED}"]),
    ("command", f"mysql --password {PLANTED}"),
    ("data.config", f"user: x\npassword: {PLANTED}\n"),
    ("data.config", f"password:\n  {PLANTED}"),
    ("data.config", f"password: 'a {PLANTED}'"),
    ("data.config", f'password: "a \\"{PLANTED}"'),
    ("data.config", f"password: a {PLANTED}"),
    ("data.config", f"pass = a {PLANTED}"),
    ("data.config", f"token: |\n  {PLANTED}\n  {PLANTED}\n"),
    ("data.config", f'{{"password":"{PLANTED}"}}'),
    ("data.config", f'"password" : "a {PLANTED}"'),
    ("data.config", f"export SECRET_KEY={PLANTED}"),
    ("data.config", f"{{a: b, token: {PLANTED}}}"),
    ("data.config", '{"auths": {"r": {"auth": "aGVsbG8="}}}'),
    ("data.key", _PEM),
    ("header", f"Bearer {_JWT}"),
    ("header", f"Authorization: Bearer {PLANTED}"),
    ("header", "Basic aGVsbG86aGVsbG8="),
    ("proxy.http", f"http://user:{PLANTED}@proxy.example:3128"),
    ("data.url", f"https://{PLANTED}@host/simple"),
    ("data.url", f"https://user:a/{PLANTED}@host"),
    ("data.url", f"https://user:a@{PLANTED}@host"),
    ("data.url", f"https://host/x?sig={PLANTED}&a=b"),
    ("data.dsn", f"user:{PLANTED}@tcp(db:3306)/x"),
    ("description", "AKIAIOSFODNN7EXAMPLE"),
    ("description", f"the key {_AWS_KEY}"),
    ("hash", "$2b$12$" + "a" * 53),
    ("hash", "$6$salt$" + "a" * 86),
    *(
        ("description", f"{begin}{PLANTED}")
        for begin in ("ghp_", "github_pat_", "glpat-", "xoxb-", "hf_", "sk-", "dckr_pat_", "npm_")
    ),
]

PLAIN: list[tuple[str, Any]] = [
    ("automountServiceAccountToken", True),
    ("metadataOptions.httpTokens", "required"),
    ("env[APP_DISABLE_AUTH].value", "false"),
    ("env[DB_PASSWORD].value", ""),
    ("environment.variables.MIRROR_CREDENTIALS_SECRET", "kubeflow/image-mirror"),
    ("args", ["--max-tokens", "4096"]),
    ("args", ["-p", "8080", "--password", "$(DB_PASSWORD)"]),
    ("values", {"password": None, "token": True, "secret": "false"}),
    ("spec.volumes[a].secret.secretName", "database-1"),
    ("spec.imagePullSecrets[0].name", "registry"),
    ("spec.containers[external-secrets].image", "registry.example/a:v1"),
    ("policy.Statement[ReadSecrets].Effect", "Allow"),
    ("rules[0].resources", ["secrets", "tokenreviews"]),
    ("artifacts.credentials", "static-key"),
    ("policy", "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:kubeflow/login-1"),
    ("tokenUrl", "https://login.example/token"),
    ("image", "registry.example:5000/a/b:v1@sha256:" + "0" * 64),
    ("data.url", "https://registry.example:5000/a@sha256:" + "0" * 64),
    ("env[DB_PASSWORD].valueFrom.secretKeyRef.name", "database-1"),
    ("data.run", "export TOKEN=$TOKEN PASSWORD=$(cat /run/password) TOKEN_FILE=/run/token"),
    ("data.volume", "- secret:\n    secretName: a\n- serviceAccountToken:\n    path: token\n"),
    ("data.users", "email: alice@example.com"),
]
"""What only sounds like a secret, and reviews show."""
