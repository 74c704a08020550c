#!/usr/bin/env bash
# Creates the virtual environment of this checkout from requirements.lock, which pins every package to a
# version and to the hashes of its archives. The environment is cached by the lock and linked as .venv,
# so that a second clone or a second run takes no time.
set -euo pipefail
cd "$(dirname "$0")"

cache="${KUBEFLOW_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubeflow-on-eks}"
python="${PYTHON:-python3}"

# Pulumi, Go and the programs of a run work in different folders.
case "$cache" in
  /*) ;;
  *)
    echo "The cache's folder is $cache: name it by an absolute path in KUBEFLOW_CACHE." >&2
    exit 2
    ;;
esac

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

# After the message of the program that failed: a full disk has many.
refuse_full_disk() {
  if ! dd if=/dev/zero of="$venv/space" bs=1048576 count=1 2>/dev/null; then
    echo "The disk of $venv is full: free some space there, or name another folder by its absolute path in KUBEFLOW_CACHE." >&2
    exit 2
  fi
  exit "${1:-1}"
}

if [ ! -e "$venv/complete" ]; then
  echo "Python packages: installing the pinned versions into $venv ..."
  start=$SECONDS
  if ! fault="$({ rm -rf "$venv" && mkdir -p "$venv"; } 2>&1)"; then
    echo "The cache cannot be written (${fault#*: }): make it writable, or name another folder by its absolute path in KUBEFLOW_CACHE." >&2
    exit 2
  fi
  code=0
  "$python" -m venv "$venv" || refuse_full_disk
  # The lock is complete, and has one version outside a range that a package asks for (policies/overrides.txt).
  log="$("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock" \
    2>&1 >/dev/null)" || code=$?
  if [[ "$log" == *'DO NOT MATCH THE HASHES'* ]]; then
    packages="$(printf '%s\n' "$log" | sed -n 's/^ *\([^ ]*==[^ ]*\) from .*/\1/p' | paste -sd ' ' -)"
    echo "Python packages: the archive of $packages does not have its hash in $lock, and nothing was installed: check the package index that pip is configured with, or renew $lock by the command in its first lines." >&2
    exit 2
  fi
  printf '%s' "${log:+$log$'\n'}" >&2
  [ "$code" -eq 0 ] || refuse_full_disk "$code"
  touch "$venv/complete"
  echo "Python packages: installed in $((SECONDS - start)) s."
fi
ln -sfn "$venv" .venv
