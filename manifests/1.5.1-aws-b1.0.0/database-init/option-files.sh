#!/usr/bin/env bash
# Makes the folder that init.sh reads out of the files that the CSI driver mounts.
#
#   option-files.sh <folder with <name>.<field>> <new folder> [<list of components>]
#
# <name> is master or a component. Option files of MySQL's client get the master user's login
# (client.cnf) and each component's (<component>.cnf); VERIFY_IDENTITY also compares the host name.
# A password goes from file to file through this shell, never into an argument or the output.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C
umask 0137

readonly from=$1 to=$2
readonly components=${3:-/etc/database-init/components}

field() {
  local file=$from/$1.$2
  [[ -r $file ]] || {
    printf 'database-init: %s is not there: look at SecretProviderClass database-init\n' "$file" >&2
    exit 1
  }
  printf '%s' "$(< "$file")"
}

login() {
  printf 'user=%s\npassword=%s\n' "$(field "$1" username)" "$(field "$1" password)"
}

{
  printf '[client]\nhost=%s\nport=%s\n' "$(field master host)" "$(field master port)"
  login master
  printf 'connect-timeout=10\nssl-mode=VERIFY_IDENTITY\n'
  printf 'ssl-ca=/etc/database-authorities/authorities.pem\n'
} > "$to/client.cnf"

while read -r component _; do
  [[ -n $component && $component != '#'* ]] || continue
  for name in username password database; do
    field "$component" "$name" > "$to/$component.$name"
  done
  {
    printf '!include %s/client.cnf\n[client]\n' "$to"
    login "$component"
  } > "$to/$component.cnf"
done < "$components"
