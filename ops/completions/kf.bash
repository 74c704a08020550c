_kf() {
  local words=() typed='' word candidates
  # Bash divides --stack=x into three words.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    case "$typed $word" in
      --*\ = | --*=\ *) typed="$typed$word" ;;
      *)
        if [ -n "$typed" ]; then words+=("$typed"); fi
        typed="$word"
        ;;
    esac
  done
  candidates="$(_kf_candidates "${COMP_WORDS[0]}" "$typed" ${words[@]+"${words[@]}"})"
  case "$typed" in
    --*=*) typed="${typed#*=}" ;;
  esac
  # IFS may be another in this shell.
  local IFS=$' \t\n'
  case "$candidates" in
    *:files*)
      compopt -o filenames 2>/dev/null
      case "$typed" in
        -*) candidates="${candidates//:files/}" ;;
        *)
          COMPREPLY=($(compgen -f -- "$typed"))
          return
          ;;
      esac
      ;;
  esac
  COMPREPLY=($(compgen -W "$candidates" -- "$typed"))
}
complete -F _kf kf
