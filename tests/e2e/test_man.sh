#!/bin/bash
# test_man: the manual page and bash's completion agree with `net2c help`, groff has nothing to
# say against the page, and cmake --install puts both where man and bash look for them.
# Environment: NET2C, NET2C_TEST_DIR.
set -u
NET2C=${NET2C:-build/net2c}
DIR=${NET2C_TEST_DIR:-build/test_man}
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}

rm -rf "$DIR"
mkdir -p "$DIR"
"$NET2C" man >"$DIR/net2c.1" || fail "net2c man: status $?"
"$NET2C" completion bash >"$DIR/net2c.bash" || fail "net2c completion bash: status $?"
"$NET2C" completion csh 2>"$DIR/csh.err" && fail "completion for csh"
grep -q "unknown shell 'csh'" "$DIR/csh.err" || fail "message about csh: $(cat "$DIR/csh.err")"
. "$DIR/net2c.bash"

# complete WORD...: what bash would offer for the last of the words
complete_words() {
    COMP_WORDS=(net2c "$@")
    COMP_CWORD=$#
    _net2c net2c "${COMP_WORDS[COMP_CWORD]}" ""
    echo " ${COMPREPLY[*]} "
}

verbs=$("$NET2C" help | sed -n '/^verbs:/,/^$/s/^  \([a-z ]*[a-z]\)  .*/\1/p')
[ "$(wc -l <<<"$verbs")" -ge 9 ] || fail "verbs: $verbs"
options=0
while read -r verb; do
    grep -qF "\\fB$verb\\fP" "$DIR/net2c.1" || fail "the page lacks the verb $verb"
    for word in $verb; do
        case $(complete_words "${word:0:2}") in
        *" $word "*) ;;
        *) fail "$word is not completed" ;;
        esac
    done
    offered=$(complete_words $verb "")
    listed=" "
    for option in $("$NET2C" help $verb | sed -n 's/^  \(    \|-., \)\(--[A-Za-z-]*\).*/\2/p'); do
        grep -qF "\\fB${option//-/\\-}\\fP" "$DIR/net2c.1" || fail "the page lacks $option"
        listed+="$option "
        options=$((options + 1))
    done
    [ "$offered" = "$listed" ] || fail "$verb: offered$offered, there are$listed"
done <<<"$verbs"
[ "$options" -ge 60 ] || fail "only $options options were seen"
case $(complete_words run --th) in
" --threads ") ;;
*) fail "run --th is not completed to --threads alone" ;;
esac
[ "$(complete_words run net)" = "  " ] || fail "file names are bash's business"

if command -v groff >/dev/null; then
    groff -man -ww -z -Tascii "$DIR/net2c.1" 2>"$DIR/groff.err"
    [ -s "$DIR/groff.err" ] && fail "groff: $(cat "$DIR/groff.err")"
else
    echo "groff is missing: the page's roff was not checked"
fi

if cmake --install "$(dirname "$NET2C")" --prefix "$DIR/prefix" >"$DIR/install.log" 2>&1; then
    cmp "$DIR/net2c.1" "$DIR/prefix/share/man/man1/net2c.1" || fail "the page is not installed"
    cmp "$DIR/net2c.bash" "$DIR/prefix/share/bash-completion/completions/net2c" ||
        fail "the completion is not installed"
else
    fail "cmake --install: $(tail -3 "$DIR/install.log")"
fi

[ $failed = 0 ] && echo "manual page and completion: $options options of $(wc -l <<<"$verbs") verbs"
exit $failed
