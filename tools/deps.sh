#!/bin/bash
# Installs the Debian packages that the named parts of the work need and that are missing.
# usage: tools/deps.sh build|llvm|test|demo|bench|fixtures|browser|ci ...
# Root or sudo is used for apt-get. NET2C_NO_INSTALL=1 prints the command instead.
# Exit status: 0 everything is there; 5 something is missing and was not installed.
set -u

packages=()
for part in "$@"; do
    case $part in
    build) packages+=(gcc libc6-dev make cmake libyaml-dev libstb-dev) ;;
    llvm) packages+=(llvm-dev) ;;              # for the plugin, which the build does without
    test) packages+=(clang g++ pkg-config libcmocka-dev python3 python3-yaml binutils) ;;
    demo) packages+=(libstb-dev) ;;
    bench) packages+=(clang g++ python3 python3-venv) ;;
    fixtures) packages+=(python3 python3-numpy python3-torch dataset-fashion-mnist) ;;
    browser) packages+=(chromium fonts-dejavu-core) ;;     # looks at the page of opt --html
    ci) packages+=(gcc g++ libc6-dev clang make cmake pkg-config libyaml-dev libcmocka-dev libstb-dev
                   python3 python3-numpy python3-torch python3-yaml dataset-fashion-mnist
                   locales binutils) ;;
    *)
        echo "deps.sh: unknown part '$part' (build, llvm, test, demo, bench, fixtures, browser, ci)" >&2
        exit 2
        ;;
    esac
done

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)
    if [ "$state" != installed ] && [[ " ${missing[*]-} " != *" $package "* ]]; then
        missing+=("$package")
    fi
done
[ ${#missing[@]} -eq 0 ] && exit 0

root=()
[ "$(id -u)" -ne 0 ] && root=(sudo)
command="${root[*]:+${root[*]} }apt-get install -y --no-install-recommends ${missing[*]}"
if [ "${NET2C_NO_INSTALL:-0}" = 1 ]; then
    echo "missing packages; to install them:"
    echo "  $command"
    exit 5
fi
if [ ${#root[@]} -gt 0 ] && ! command -v sudo >/dev/null; then
    echo "missing packages, and neither root nor sudo; as root:" >&2
    echo "  apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 5
fi

echo "installing: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! "${root[@]}" apt-get update >"$log" 2>&1 ||
    ! "${root[@]}" apt-get install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "could not install; by hand:  $command" >&2
    exit 5
fi
