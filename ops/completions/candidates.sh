#compdef kf
# Completion of ./kf; made by `./kf completion`.

# The words after a command.
_kf_words() {
  case "$1" in
@WORDS@
    *) return 1 ;;
  esac
}

# The words of an option's value; fails for an option without one.
_kf_values() {
  case "$1" in
@VALUES@
    *) return 1 ;;
  esac
}

# The stacks beside the kf that is typed.
_kf_stacks() {
  local program="$1" file
  case "$program" in
    \~/*) program="$HOME/${program#*/}" ;;
    */*) ;;
    *) program="$(command -v "$program" 2>/dev/null)" ;;
  esac
  program="$(readlink -f "$program" 2>/dev/null)"
  [ -e "${program%/*}/Pulumi.yaml" ] || program=@PROJECT@/kf
  for file in $(cd "${program%/*}" && find . -maxdepth 1 -name 'Pulumi.*.yaml' | sort); do
    file="${file#./Pulumi.}"
    echo "${file%.yaml}"
  done
}

# What completes a word, on lines: the program, the word, the words between them.
_kf_candidates() {
  local program="$1" typed="$2" place='' option='' word candidates
  shift 2
  for word in "$@"; do
    if [ -n "$option" ]; then
      option=''
      continue
    fi
    case "$word" in
      --*=*) ;;
      -*) if _kf_values "$place $word" >/dev/null; then option="$word"; fi ;;
      *) if _kf_words "${place:+$place }$word" >/dev/null; then place="${place:+$place }$word"; fi ;;
    esac
  done
  case "$typed" in
    --*=*) option="${typed%%=*}" ;;
  esac
  if [ -n "$option" ]; then
    candidates="$(_kf_values "$place $option")"
  else
    candidates="$(_kf_words "$place")"
  fi
  case "$candidates" in
    :stacks) _kf_stacks "$program" ;;
    :nothing) ;;
    *) echo "$candidates" | tr ' ' '\n' ;;
  esac
}

