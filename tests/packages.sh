#!/usr/bin/env bash
# Makes sure that Debian packages the tests need are installed: tests/packages.sh etcd-server skopeo
# Installs what is missing as root or with sudo that asks nothing; else says what to install. Should
# a package start its own server, it is in nobody's way: the tests choose free ports and folders.
set -euo pipefail

missing=()
for package in "$@"; do
  # Any other way to have the program (a tarball, another distribution) is as good.
  case "$package" in
    etcd-server) program=etcd ;;
    mariadb-server) program=mariadbd ;;
    postgresql) program=pg_ctlcluster ;;
    *) program="$package" ;;
  esac
  # Debian keeps servers in sbin, which is not on everybody's PATH.
  PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$program" >/dev/null || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "These tests need ${missing[*]} (Debian's names) and there is no apt-get here: install the programs of these packages." >&2
  exit 2
fi
if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo)
else
  echo "These tests need ${missing[*]}: run 'sudo apt-get install --no-install-recommends ${missing[*]}', then try again." >&2
  exit 2
fi

echo "Debian packages: installing ${missing[*]} ..."
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
install 2>/dev/null || { "${as_root[@]}" apt-get update -qq && install; }
