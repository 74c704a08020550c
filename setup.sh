#!/usr/bin/env bash
# Creates the virtual environment of this checkout from requirements.lock, which pins every package to a
# version and to the hashes of its archives. The environment is cached by the lock and linked as .venv,
# so that a second clone or a second run takes no time.
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

lock=requirements.lock
# macOS has no sha256sum.
digest='import hashlib, sys; data = open(sys.argv[1], "rb").read(); print(hashlib.sha256(data + f"{sys.version} {sys.prefix}".encode()).hexdigest()[:16])'
key="$("$python" -c "$digest" "$lock")"
venv="$cache/venv/$key"

if [ ! -e "$venv/complete" ]; then
  echo "Python packages: installing the pinned versions into $venv ..."
  start=$SECONDS
  rm -rf "$venv"
  "$python" -m venv "$venv"
  code=0
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" \
    2>"$venv/pip.log" || code=$?
  if grep -q 'DO NOT MATCH THE HASHES' "$venv/pip.log"; then
    packages="$(sed -n 's/^ *\([^ ]*==[^ ]*\) from .*/\1/p' "$venv/pip.log" | paste -sd ' ' -)"
    echo "Python packages: the archive of $packages does not have its hash in $lock, and nothing was installed: check the package index that pip is configured with, or renew $lock by the command in its first lines." >&2
    exit 2
  fi
  cat "$venv/pip.log" >&2
  [ "$code" -eq 0 ] || exit "$code"
  touch "$venv/complete"
  echo "Python packages: installed in $((SECONDS - start)) s."
fi
ln -sfn "$venv" .venv
