#!/bin/bash
# test_man: the manual page and bash's completion agree with `net2c help`, groff has nothing to
# say against the page, and cmake --install puts both where man and bash look for them.
# Environment: NET2C, NET2C_TEST_DIR.
set -u
. "$(dirname "$0")/check.sh"
page=$folder/net2c.1 completion=$folder/net2c.bash

status 0 "" man; mv "$folder/out" "$page"
status 0 "" completion bash; mv "$folder/out" "$completion"
status 2 "unknown shell 'csh'" completion csh
. "$completion"

# complete WORD...: what bash would offer for the last of the words
complete_words() {
    COMP_WORDS=(net2c "$@")
    COMP_CWORD=$#
    _net2c net2c "${COMP_WORDS[COMP_CWORD]}" ""
    echo " ${COMPREPLY[*]} "
}

# offers WORD START: WORD is among what bash offers for START.
offers() {
    local offered
    offered=$(complete_words "$2")
    holds [ "$offered" != "${offered/ $1 /}" ]
}

verbs=$("$net2c" help | sed -n '/^verbs:/,/^$/s/^  \([a-z ]*[a-z]\)  .*/\1/p')
holds [ "$(wc -l <<<"$verbs")" -ge 9 ]
options=0
while read -r verb; do
    holds grep -qF "\\fB$verb\\fP" "$page"
    for word in $verb; do
        offers "$word" "${word:0:2}"
    done
    offered=$(complete_words $verb "")
    listed=" "
    for option in $("$net2c" help $verb | sed -n 's/^  \(    \|-., \)\(--[A-Za-z-]*\).*/\2/p'); do
        holds grep -qF "\\fB${option//-/\\-}\\fP" "$page"
        listed+="$option "
        options=$((options + 1))
    done
    holds [ "$verb:$offered" = "$verb:$listed" ]
done <<<"$verbs"
holds [ "$options" -ge 60 ]
holds [ "$(complete_words run --th)" = " --threads " ]
holds [ "$(complete_words run net)" = "  " ]         # file names are bash's business

if command -v groff >/dev/null; then
    groff -man -ww -z -Tascii "$page" 2>"$folder/err"
    holds [ ! -s "$folder/err" ]
else
    echo "groff is missing: the page's roff was not checked"
fi

prefix=$folder/prefix
holds cmake --install "$(dirname "$net2c")" --prefix "$prefix" >"$folder/install.log"
holds cmp "$page" "$prefix/share/man/man1/net2c.1"
holds cmp "$completion" "$prefix/share/bash-completion/completions/net2c"

echo "$options options of $(wc -l <<<"$verbs") verbs"
finish "manual page and completion"
