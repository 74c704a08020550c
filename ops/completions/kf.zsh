_kf() {
  local -a candidates
  candidates=("${(@f)$(_kf_candidates "$words[1]" "$words[CURRENT]" "${(@)words[2,CURRENT-1]}")}")
  if [[ "$words[CURRENT]" == --*=* ]]; then
    compset -P 1 '*='
  fi
  if (( ${candidates[(I):files]} )) && [[ "$words[CURRENT]" != -* || "$words[CURRENT]" == *=* ]]; then
    _files
    return
  fi
  # Options only after a hyphen, as everywhere in zsh; --opt=value is a value.
  if [[ "$words[CURRENT]" != -* ]]; then
    candidates=("${(@)candidates:#--*}")
  fi
  compadd -- "${(@)candidates:#:*}"
}

if [ "$funcstack[1]" = _kf ]; then
  _kf "$@"
else
  compdef _kf kf
fi
