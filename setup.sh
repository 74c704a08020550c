#!/usr/bin/env bash
# Gives this checkout its Python: a virtual environment with every version pinned, kept in a cache
# keyed by those versions and linked as .venv, so that a second clone or a second run takes no time.
set -euo pipefail
cd "$(dirname "$0")"

cache="${KUBEFLOW_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubeflow-on-eks}"
python="${PYTHON:-python3}"

# Debian 12 has 3.11.2, and the tests were run with it. The question is in words of any Python.
version='import sys; sys.stdout.write(".".join(map(str, sys.version_info[:3]))); sys.exit(tuple(sys.version_info[:3]) < (3, 11, 2))'
if ! found="$("$python" -c "$version" 2>/dev/null)"; then
  echo "Python 3.11.2 or newer is needed and '$python' is ${found:-no Python}: install it, or name another with PYTHON=/path/to/python3." >&2
  exit 2
fi

pins="$(cat requirements.txt requirements-dev.txt constraints.txt; "$python" -c 'import sys; print(sys.version, sys.prefix)')"
key="$(printf '%s' "$pins" | sha256sum | cut -c1-16)"
venv="$cache/venv/$key"

if [ ! -e "$venv/complete" ]; then
  echo "Python packages: installing the pinned versions into $venv ..."
  start=$SECONDS
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    -r requirements-dev.txt -c constraints.txt
  touch "$venv/complete"
  echo "Python packages: installed in $((SECONDS - start)) s."
fi
ln -sfn "$venv" .venv
