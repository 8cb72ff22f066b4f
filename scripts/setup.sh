#!/usr/bin/env bash
# Goes to the root of the repository and installs what this machine lacks for development: libav,
# the ffmpeg program, a C compiler, libclang, and Rust. Without cargo, Debian's Rust is installed;
# if that is too old, the toolchain of rust-toolchain.toml is, by rustup. The other scripts source
# this one. If nothing is missing, it takes no time.

set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() {
    printf '%s\n' "$*" >&2
}

# Prints the missing Debian packages in one line.
missing_packages() {
    local library wanted=()
    command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || wanted+=(ffmpeg)
    command -v curl >/dev/null || wanted+=(curl ca-certificates)
    command -v pkg-config >/dev/null || wanted+=(pkg-config)
    # This is the version of FFmpeg 5.1. The other libraries come from the same release.
    for library in 'libavcodec >= 59.37' libavformat libavfilter libavutil libswscale libswresample; do
        pkg-config --exists "$library" 2>/dev/null || wanted+=("${library%% *}-dev")
    done
    command -v cc >/dev/null || wanted+=(gcc)
    # If the start files of the C library are installed, the compiler prints an absolute path.
    case "$(cc -print-file-name=crt1.o 2>/dev/null)" in
    /*) ;;
    *) wanted+=(libc6-dev) ;;
    esac
    command -v clang >/dev/null || wanted+=(clang)
    # Tests unpack what install.sh installs.
    command -v xz >/dev/null || wanted+=(xz-utils)
    # Tests trace which files the ffmpeg program opens.
    command -v strace >/dev/null || wanted+=(strace)
    has_libclang || wanted+=(libclang-dev)
    command -v cargo >/dev/null || command -v rustup >/dev/null || wanted+=($(rust_of_debian))
    printf '%s\n' "${wanted[*]-}"
}

# Prints the Debian packages of a Rust that is new enough: those for building web browsers.
rust_of_debian() {
    case "$(. /etc/os-release 2>/dev/null && printf '%s %s' "${ID-}" "${VERSION_ID-}")" in
    'debian 12' | 'debian 13') printf '%s\n' cargo-web rustc-web rust-web-clippy rustfmt-web ;;
    'debian ') printf '%s\n' cargo rustc rust-clippy rustfmt ;; # testing and unstable have no number
    esac
}

has_libclang() {
    [ -n "${LIBCLANG_PATH-}" ] ||
        compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null ||
        compgen -G '/usr/lib*/libclang*.so*' >/dev/null ||
        compgen -G '/usr/lib/*/libclang*.so*' >/dev/null
}

# Refuses a system whose libav is too old, or whose packages have other names. The argument says
# whether any package is missing: `yes` or `no`.
check_system() {
    local system
    system=$(. /etc/os-release 2>/dev/null && printf '%s %s' "${ID-}" "${VERSION_ID-}") || true
    case "$system" in
    'debian ') return ;; # testing and unstable have no number
    'debian '*) [ "${system##* }" -lt 12 ] || return 0 ;;
    'ubuntu '*) [ "$(printf '%s' "${system##* }" | cut -d. -f1)" -lt 24 ] || return 0 ;;
    *) [ "$1" = yes ] || return 0 ;;
    esac
    say "Supported are Debian 12 or later and Ubuntu 24.04 or later; this is ${system:-something else}."
    exit 1
}

install_packages() {
    local sudo=(env)
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            say "Missing are $*; install them as root, or install sudo."
            exit 1
        fi
        sudo=(sudo env)
    fi
    say "Installing $*"
    local apt=("${sudo[@]}" DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update >&2
    "${apt[@]}" install -y --no-install-recommends "$@" >&2
}

# Whether cargo is usable: the toolchain that this repository names, the one that RUSTUP_TOOLCHAIN
# names, or one of the system that is new enough: has_toolchain NAMED OLDEST.
has_toolchain() {
    local version
    command -v cargo-clippy >/dev/null && command -v cargo-fmt >/dev/null || return 1
    version=$(RUSTUP_AUTO_INSTALL=0 cargo --version 2>/dev/null) || return 1
    version=${version#cargo }
    version=${version%% *}
    [ -z "${RUSTUP_TOOLCHAIN-}" ] && [ "$version" != "$1" ] || return 0
    ! command -v rustup >/dev/null &&
        [ "$(printf '%s\n' "$2" "$version" | sort --version-sort | head -n 1)" = "$2" ]
}

install_toolchain() {
    if ! command -v rustup >/dev/null; then
        say 'Installing rustup'
        curl --proto '=https' --tlsv1.2 --silent --show-error --fail https://static.rust-lang.org/rustup/rustup-init.sh |
            RUSTUP_INIT_SKIP_PATH_CHECK=yes sh -s -- -y --quiet --profile minimal --default-toolchain none >&2
        hash -r
    fi
    rustup toolchain install "$1" --profile minimal --component clippy --component rustfmt >&2
}

set_up() {
    local packages toolchain oldest bin=${CARGO_HOME:-$HOME/.cargo}/bin
    # A shell that was started before rustup was installed does not have its folder in PATH.
    case ":$PATH:" in
    *":$bin:"*) ;;
    *) export PATH="$bin:$PATH" ;;
    esac
    packages=$(missing_packages)
    check_system "$([ -n "$packages" ] && echo yes || echo no)"
    # The names of packages are separated by blanks, so the variable is not quoted.
    # shellcheck disable=SC2086
    [ -z "$packages" ] || install_packages $packages

    toolchain=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
    # Dependencies of the tests need this release; the library needs the one in Cargo.toml.
    oldest=1.92
    has_toolchain "$toolchain" "$oldest" || install_toolchain "$toolchain"
}

set_up
