
# bash cuts words at colons, and commands have them: db:init. What belongs together is put together, and what bash has
# already is not inserted again.
_rdb_words() {
    local words=() cword=0 i last word
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        word=${COMP_WORDS[i]}
        last=$((${#words[@]} - 1))
        if ((last > 0)) && [[ $word == : || ${words[last]} == *: ]]; then
            words[last]+=$word
        else
            words+=("$word")
        fi
        ((i == COMP_CWORD)) && cword=$((${#words[@]} - 1))
    done
    local cur=${words[cword]} prev=${words[cword - 1]}
    COMP_WORDS=("${words[@]}")
    COMP_CWORD=$cword
    _rdb rdb "$cur" "$prev"
    local typed=${cur%"${cur##*:}"}
    COMPREPLY=("${COMPREPLY[@]#"$typed"}")
}
complete -F _rdb_words -o bashdefault -o default rdb
