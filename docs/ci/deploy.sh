#!/usr/bin/env bash
# docs/ci/deploy.sh preview STACK: what `pulumi up` would do, by name, to build/approval.json.
# docs/ci/deploy.sh up STACK: does it, if that is still so. Exit codes: docs/ci/live_stack.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
command="$1" stack="$2"

./setup.sh
exec .venv/bin/python -m docs.ci.aws_session --stack "$stack" -- \
  .venv/bin/python -m docs.ci.live_stack "$command" --stack "$stack"
