# Which Debian packages are needed for what; sourced by ./check and ./quickstart.

# To build the suite. pkg-config names and header packages are those of cmake/packages.cmake.
# shellcheck shell=sh disable=SC2034
build_packages="clang-16 lld-16 cmake ninja-build pkg-config protobuf-compiler libprotobuf-dev libevent-dev
    libldns-dev libssl-dev libxxhash-dev libseccomp-dev libgsasl-dev libpam0g-dev libcrypt-dev libcap-ng-dev libidn2-dev
    libunistring-dev libpcre2-dev libfmt-dev libexpected-dev libcli11-dev nlohmann-json3-dev python3"

# To check it: sanitizers and fuzzer, clang's tools, and what the end-to-end tests use of the system. Their mail
# servers and name server are not among these: tests/e2e/peers.py unpacks them without installing anything.
check_packages="$build_packages openssl git ccache catch2 libclang-rt-16-dev llvm-16 clang-format-16 clang-tidy-16
    clang-tools-16 mandoc iproute2 util-linux mount e2fsprogs procps dpkg-dev swaks libnet-ssleay-perl
    tinycdb lmdb-utils xfsprogs python3-flufl.bounce"

# node and npm, for a mail program that is written in JavaScript. Not from Debian where there is another one already,
# which would not go together with it.
command -v npm >/dev/null || check_packages="$check_packages nodejs npm"

# install_packages NAME…: installs those that are missing, when root; otherwise says what to install.
install_packages() {
    missing=""
    for package in "$@"; do
        case "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" in
            installed) ;;
            *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "These Debian packages are missing; install them as root and try again:" >&2
        echo "    apt-get install$missing" >&2
        return 1
    fi
    echo "installing$missing"
    # A package that starts a service at its installation is not to do so here.
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update </dev/null || return 1
    # shellcheck disable=SC2086 # a list of words
    apt-get -qq install -y --no-install-recommends $missing </dev/null >/dev/null
}
