# SPDX-License-Identifier: MIT
# bash completion for slotproof. The options come from --help, the tests from 'slotproof list'.

_slotproof_tests() {
    "$1" list 2>/dev/null | awk '{ print $1 }'
}

_slotproof() {
    local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} words=

    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z]\{3,\}\)  .*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words --help --version" -- "$word")
        return
    fi
    case $before in
        --tests | --images | --out | -i | -o | --image | --log | --policy | --report | --write | --disk)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            compopt -o filenames 2>/dev/null
            return
            ;;
        --tag)
            words=$("$program" list 2>/dev/null | awk '$2 != "-" { gsub(",", "\n", $2); print $2 }' | sort -u)
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
            return
            ;;
        --engine)
            mapfile -t COMPREPLY < <(compgen -W local -- "$word")
            return
            ;;
        -t | --test)
            words=$(_slotproof_tests "$program")
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
            return
            ;;
    esac
    if [[ $word == -* ]]; then
        words=$("$program" "$command" --help 2>/dev/null | grep -o -- '--[a-z-]*' | sort -u)
    else
        case $command in
            run | list | report) words=$(_slotproof_tests "$program") ;;
            cache) words="list verify clear" ;;
            image) words=$("$program" image --check 2>/dev/null | awk '{ print $1 }') ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _slotproof slotproof
