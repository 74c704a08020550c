#!/usr/bin/env bash
# Asks the database, as each component's own user, and prints what it answers.
#
#   database_rows.sh <folder with <component>.cnf> [<component> <name> tls|plain <statement>]...
#
# One line per row: component, name of the question, "row" and the columns, and a line with "done" after
# the last one; where the client failed, lines with "error" and its sentences. All is separated by tabs,
# as in the client's own batch mode. The last line is "end".
# After a failed first question a component is asked no more, and nobody is where the server is out of
# reach. Passwords are in the option files alone.
set -uo pipefail
export LC_ALL=C

readonly folder=$1
shift
declare -A begun=() refused=()

# Nothing but bash and mysql is used, and no file is written: the pod's root is read only, which rules out
# here-documents as well.
marked() {
  local row
  while IFS= read -r row; do printf 'row\t%s\n' "$row"; done
}

# The lines of an answer; $1 is what stands before each, $2 whether the client failed.
told() {
  local line
  while IFS= read -r line; do
    if [[ $line == row$'\t'* ]]; then
      [[ $2 ]] || printf '%s\t%s\n' "$1" "$line"
    elif [[ $2 && $line == *[![:space:]]* ]]; then
      printf '%s\terror\t%s\n' "$1" "$line"
    fi
  done
  [[ $2 ]] || printf '%s\tdone\n' "$1"
}

while (($# >= 4)); do
  component=$1 name=$2 way=$3 statement=$4
  shift 4
  [[ ${refused[$component]-} ]] && continue
  options=(--defaults-file="$folder/$component.cnf" --batch --skip-column-names)
  [[ $way == plain ]] && options+=(--ssl-mode=DISABLED)
  if answer=$({ mysql "${options[@]}" --execute="$statement" < /dev/null | marked; } 2>&1); then
    failed=
  else
    failed=yes
    [[ ${begun[$component]-} ]] || refused[$component]=yes
  fi
  begun[$component]=yes
  printf '%s\n' "$answer" | told "$component"$'\t'"$name" "$failed"
  # The client could not connect, or found no such host.
  [[ $failed && $answer =~ 'ERROR 200'[235]' ' ]] && break
done
echo end
