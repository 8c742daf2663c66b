#!/bin/bash
# The committed sample output is what the compiler writes today, whatever the locale, time zone and
# umask, byte for byte.
#
# Environment: NET2C, NET2C_TEST_DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${NET2C_TEST_DIR:-build/test_regenerate}
rm -rf "$folder"
mkdir -p "$folder"
umask 077
# a locale with a decimal comma, made here so that it exists wherever its source does
locale=()
mkdir -p "$folder.locale"
if localedef -i de_DE -f UTF-8 "$folder.locale/de_DE.UTF-8" 2>/dev/null; then
    locale=("LOCPATH=$(realpath "$folder.locale")" LC_ALL=de_DE.UTF-8)
else
    echo "locale: skipped, needs Debian's package 'locales'"
fi
env TZ=Asia/Tokyo "${locale[@]}" bash tools/generated.sh "$(realpath "$folder")"
failed=0
for file in generated/*_gen.*; do
    if ! cmp "$file" "$folder/$(basename "$file")"; then
        failed=$((failed + 1))
    fi
done
count=$(ls "$folder" | wc -l)
[ "$count" -eq "$(ls generated/*_gen.* | wc -l)" ] || failed=$((failed + 1))
if [ "$failed" -gt 0 ]; then
    echo "run 'make generated' and read the difference before committing it"
fi
echo "$((count - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
