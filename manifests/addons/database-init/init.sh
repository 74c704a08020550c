#!/usr/bin/env bash
# Makes the database and the user of every component that is listed in the file beside this one.
# Running it again changes nothing, unless a secret holds another password than the database.
#
#   init.sh <folder with client.cnf and <component>.{cnf,username,password,database}>
#
# A password is never in an argument, a variable of the environment or the output: it goes from its
# file through this shell into the client's standard input. MariaDB reads /*!80000 ... */ as a
# comment and does without what is in it.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C

readonly secrets=$1
readonly connection=$secrets/client.cnf

refuse() {
  printf 'database-init: %s\n' "$1" >&2
  exit 1
}

# The field $2 of component $1, when it consists of what $3 allows.
field() {
  local file=$secrets/$1.$2 text
  [[ -r $file ]] || refuse "the secret of $1 has no $2: look at ExternalSecret database-init"
  text=$(< "$file")
  [[ $text =~ ^$3+$ ]] ||
    refuse "the $2 in the secret of $1 may hold $3 only: write another one to Secrets Manager"
  printf '%s' "$text"
}

# The server repeats pieces of a statement in its errors.
without_password() {
  printf '%s' "${1//"$password"/********}"
}

# Runs the statements in $1 as the master user.
run() {
  local answer
  answer=$(printf '%s\n' "$1" | mysql --defaults-file="$connection" --batch 2>&1) ||
    refuse "$component: $(without_password "$answer")"
}

# Does the database accept the password for the component's user?
password_is_known() {
  local answer
  answer=$(mysql --defaults-file="$secrets/$component.cnf" --batch --execute='SELECT 1' \
    < /dev/null 2>&1) && return
  # Anything but a wrong password must not lead to a new one.
  [[ $answer == *'ERROR 1045 '* ]] || refuse "$component: $(without_password "$answer")"
  return 1
}

[[ -r $connection ]] || refuse "$connection is not there: look at ExternalSecret database-init"

while read -r component login tls rights <&3; do
  [[ -n $component && $component != '#'* ]] || continue
  user=$(field "$component" username '[a-z0-9_]')
  database=$(field "$component" database '[a-z0-9]')
  password=$(field "$component" password '[A-Za-z0-9]')
  account="'$user'@'%'"
  identified="IDENTIFIED /*!80000 WITH $login */ BY '$password'"

  run "
    CREATE DATABASE IF NOT EXISTS \`$database\` CHARACTER SET utf8mb4;
    CREATE USER IF NOT EXISTS $account $identified;
    ALTER USER $account REQUIRE $tls;
    GRANT $rights ON \`$database\`.* TO $account;"

  if password_is_known; then
    found='its password is the one in the secret'
  else
    # The pods that still have the old password keep it until they are replaced: MySQL accepts both
    # until the next rotation. Who rotates because of a leak rotates twice.
    run "ALTER USER $account $identified /*!80014 RETAIN CURRENT PASSWORD */;"
    password_is_known || refuse "$component: the password is set and yet refused"
    found='its password is now the one in the secret'
  fi
  printf 'database-init: %s: user %s has %s on database %s; %s\n' \
    "$component" "$user" "$rights" "$database" "$found"
done 3< "${BASH_SOURCE[0]%/*}/components"
