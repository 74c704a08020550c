#!/usr/bin/env bash
# The drift of a live stack, and the one issue about it: docs/ci/drift.sh STACK
# Exit codes: 0 none, and an open issue is closed; 1 drift, and the issue is opened or updated; 2 not
# compared, or the forge refused.
set -euo pipefail
cd "$(dirname "$0")/../.."
stack="$1"

./setup.sh
code=0
.venv/bin/python -m docs.ci.aws_session --stack "$stack" -- \
  .venv/bin/python -m docs.ci.live_stack drift --stack "$stack" || code=$?
about=(--about "drift of $stack" --title "Stack $stack is not as its state says")
case "$code" in
  0) python3 -m docs.ci.comment issue "${about[@]}" ;;
  1) python3 -m docs.ci.comment issue "${about[@]}" --file build/report.md ;;
esac
exit "$code"
