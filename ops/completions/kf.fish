# Completion of ./kf; made by `./kf completion fish`.

# The words after a command.
function __kf_words
    switch "$argv[1]"
@WORDS@
        case '*'
            return 1
    end
end

# The words of an option's value; fails for an option without one.
function __kf_values
    switch "$argv[1]"
@VALUES@
        case '*'
            return 1
    end
end

# The stacks beside the kf that is typed.
function __kf_stacks
    set -l program (string replace -r '^~/' "$HOME/" -- $argv[1])
    if not string match -q '*/*' -- $program
        set program (command -v -- $program)
    end
    set -l folder (path dirname (path resolve -- $program))
    test -e "$folder/Pulumi.yaml"; or set folder @PROJECT@
    for file in $folder/Pulumi.*.yaml
        string replace -r '.*/Pulumi\.(.*)\.yaml$' '$1' -- $file
    end
end

function __kf_candidates
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l place ''
    set -l option ''
    for word in $words
        if test -n "$option"
            set option ''
            continue
        end
        switch $word
            case '--*=*'
            case '-*'
                if __kf_values "$place $word" >/dev/null
                    set option $word
                end
            case '*'
                if __kf_words (string trim "$place $word") >/dev/null
                    set place (string trim "$place $word")
                end
        end
    end
    set -l before ''
    if string match -q -- '--*=*' $typed
        set option (string replace -r '=.*' '' -- $typed)
        set before "$option="
    end
    set -l candidates (__kf_words "$place")
    if test -n "$option"
        set candidates (__kf_values "$place $option")
    end
    for candidate in $candidates
        switch $candidate
            case ':stacks'
                printf "$before%s\n" (__kf_stacks $program)
            case ':files'
                __fish_complete_path (string replace -r '^--[^=]*=' '' -- $typed)
            case ':nothing'
            case '*'
                echo "$before$candidate"
        end
    end
end

complete -c kf -f -a '(__kf_candidates)'
