#!/usr/bin/env bash
# The plan of a pull or merge request, without credentials: docs/ci/plan.sh BASE HEAD
# Compares HEAD with the commit at which it left BASE, and writes plan.md and plan.html to build/ci.
# KF_STACKS: names of stacks, separated by spaces; empty: what `./kf plan` takes by itself.
# KF_FAIL_ON: danger, policy or both: exit code 1 where the plan has one; empty: only where there is no
# plan. See `./kf plan --help`.
# A variable is words: none is a pattern of files.
set -eufo pipefail
cd "$(dirname "$0")/../.."
base="$1" head="$2"

# A forge sets a variable that nobody filled to the empty text, which is a value to some programs.
for name in PIP_INDEX_URL GOPROXY KUBEFLOW_BUNDLES KUBEFLOW_CACHE KUBEFLOW_GIT_PREFIX; do
  [ -n "${!name:-}" ] || unset "$name"
done

if ! common="$(git merge-base "$base" "$head")"; then
  echo "git does not know where $head left $base: check out the whole history (fetch-depth: 0, GIT_DEPTH: 0)." >&2
  exit 2
fi
options=()
for stack in ${KF_STACKS:-}; do
  options+=(--stack "$stack")
done
for reason in ${KF_FAIL_ON:-}; do
  options+=(--fail-on "$reason")
done
exec ./kf plan --base "$common" --head "$head" --output build/ci "${options[@]}"
