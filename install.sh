#!/bin/sh
# Installs the program avocet, or removes it:
#
#   curl --proto '=https' --tlsv1.2 -sSf https://github.com/avocet-media/avocet/releases/latest/download/install.sh | sh
#   sh install.sh [--version VERSION] [--prefix FOLDER] [--from FILE|URL] [--lgpl]
#   sh install.sh --uninstall [--prefix FOLDER]
#
# It goes below /usr/local for root and below ~/.local for others: bin/avocet, lib/avocet, completions
# and manual pages. What was there before stays until the new one has been tried.
set -eu

releases=https://github.com/avocet-media/avocet/releases
# The oldest C library that the program runs with.
oldest_glibc=2.35

say() {
    printf 'install.sh: %s\n' "$*" >&2
}

fail() {
    say "$@"
    exit 1
}

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0" 2>/dev/null >&2 || true
    exit 2
}

version='' from='' act=install name=avocet prefix=$HOME/.local
[ "$(id -u)" -ne 0 ] || prefix=/usr/local
while [ $# -gt 0 ]; do
    case "$1" in
    --version | --prefix | --from)
        [ $# -ge 2 ] || fail "$1 wants a value"
        case "$1" in
        --version) version=${2#v} ;;
        --prefix) prefix=$2 ;;
        --from) from=$2 ;;
        esac
        shift
        ;;
    --lgpl) name=avocet-lgpl ;;
    --uninstall) act=uninstall ;;
    *) usage ;;
    esac
    shift
done
case "$prefix" in
/*) ;;
*) prefix=$PWD/$prefix ;;
esac
list=$prefix/lib/avocet/files

# Removes the files of a list that stand below the prefix, and the folders that are ours alone:
# remove LIST [KEPT], where files in the list KEPT stay.
remove() {
    while IFS= read -r file; do
        [ -z "${2-}" ] || ! grep -qxF -- "$file" "$2" || continue
        rm -f -- "$prefix/$file"
        case "${file%/*}" in
        */avocet) rmdir -- "$prefix/${file%/*}" 2>/dev/null || true ;;
        esac
    done <"$1"
}

if [ "$act" = uninstall ]; then
    [ -f "$list" ] || fail "nothing that this script installed is below $prefix; --prefix names another folder"
    [ -w "$prefix/bin" ] || fail "$prefix/bin can not be written; run it as the user who installed it"
    kept=$(mktemp)
    cp -- "$list" "$kept"
    remove "$kept"
    rm -f -- "$list" "$kept"
    rmdir -- "$prefix/lib/avocet" 2>/dev/null || true
    say "avocet is gone from $prefix"
    exit 0
fi

[ "$(uname -s)" = Linux ] || fail "there is no program for $(uname -s) yet; the library builds there, as README.md says"
machine=$(uname -m)
case "$machine" in
x86_64 | aarch64) ;;
*) fail "there is no program for $machine: there are x86_64 and aarch64" ;;
esac

# Is the first of two versions the older one?
is_older() {
    [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -t . -k 1,1n -k 2,2n | head -n 1)" = "$1" ]
}

glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p')
[ -n "$glibc" ] || fail "the C library of this system is not glibc, and the program wants glibc $oldest_glibc or later"
! is_older "$glibc" "$oldest_glibc" ||
    fail "the C library of this system is glibc $glibc, and the program wants $oldest_glibc or later: Debian 12, Ubuntu 22.04, Fedora 36, or newer"
for tool in tar sha256sum; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
done
command -v xz >/dev/null || fail 'xz is missing, which unpacks the archive: install xz-utils, or xz on Fedora'

# The nearest folder above the prefix that exists must let files be made.
above=$prefix
while [ ! -d "$above" ]; do above=${above%/*}; done
[ -w "${above:-/}" ] || fail "${above:-/} can not be written; --prefix names another folder"
mkdir -p "$prefix/bin" "$prefix/lib" "$prefix/share" || fail "$prefix can not be made"
for folder in bin lib share; do
    [ -w "$prefix/$folder" ] || fail "$prefix/$folder can not be written; --prefix names another folder"
done
# In the same file system, so that a rename puts each file in its place.
work=$(mktemp -d "$prefix/.avocet.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Downloads a URL into a file.
fetch() {
    if command -v curl >/dev/null; then
        curl --proto '=https,http,file' --tlsv1.2 --silent --show-error --fail --location --retry 3 --output "$2" "$1"
    elif command -v wget >/dev/null; then
        wget --quiet --output-document "$2" "$1"
    else
        fail 'neither curl nor wget is here; download the archive and its .sha256 by hand, and name it with --from'
    fi
}

if [ -z "$from" ]; then
    if [ -z "$version" ]; then
        fetch "$releases/latest/download/VERSION" "$work/VERSION" ||
            fail "$releases can not be reached; download the archive and name it with --from"
        version=$(cat "$work/VERSION")
    fi
    from=$releases/download/v$version/$name-$version-$machine.tar.xz
fi
archive=$work/archive.tar.xz
case "$from" in
*://*)
    say "downloads $from"
    fetch "$from" "$archive" || fail "$from can not be downloaded whole"
    fetch "$from.sha256" "$work/sha256" || fail "$from.sha256, the checksum, can not be downloaded"
    ;;
*)
    [ -r "$from" ] || fail "$from can not be read"
    [ -r "$from.sha256" ] || fail "$from.sha256, the checksum, is missing beside it"
    cp -- "$from" "$archive"
    cp -- "$from.sha256" "$work/sha256"
    ;;
esac
wanted=$(cut -d ' ' -f 1 "$work/sha256")
found=$(sha256sum "$archive" | cut -d ' ' -f 1)
[ "$wanted" = "$found" ] ||
    fail "$from is not what was published, or was cut short: its SHA-256 is $found and should be ${wanted:-named in the file of the checksum}"
mkdir "$work/new"
xz --decompress --stdout "$archive" | tar -x -f - -C "$work/new" --strip-components 1 ||
    fail "$from can not be unpacked; is there space left below $prefix?"
told=$("$work/new/bin/avocet" --version) || fail "the program does not run on this system; nothing was installed"

(cd "$work/new" && find . -type f | sed 's|^\./||' | sort) >"$work/files"
while IFS= read -r file; do
    mkdir -p "$prefix/${file%/*}"
    mv -f -- "$work/new/$file" "$prefix/$file"
done <"$work/files"
# What an earlier release had, and this one has not.
[ ! -f "$list" ] || {
    cp -- "$list" "$work/before"
    remove "$work/before" "$work/files"
}
mkdir -p "$prefix/lib/avocet"
mv -f -- "$work/files" "$list"
say "$told is $prefix/bin/avocet"
case ":$PATH:" in
*":$prefix/bin:"*) ;;
*) say "$prefix/bin is not in PATH: export PATH=\"$prefix/bin:\$PATH\"" ;;
esac
