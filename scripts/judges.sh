#!/usr/bin/env bash
# Installs the independent judges of the job service (Node.js, and a Python environment), and sets
# AVOCET_JUDGES to their folder. Scripts that run all tests source it. If PyPI can not be reached,
# the tests that need them are skipped by name. A browser, a web server and Prometheus' checker are installed only where
# the comma-separated list REQUIRE names them: they are large.

# Sourced with the word `all` it demands all of them: for CI and scripts/soak.
if [ "${1-}" = all ]; then
    REQUIRE=${REQUIRE+$REQUIRE,}judges,node,python,typescript
    # Ubuntu has Chromium as a snap only, which containers lack.
    ! grep -q '^ID=debian' /etc/os-release || REQUIRE+=,chromium,nginx,openssl,playwright,promtool
    export REQUIRE
fi

judges=${CARGO_TARGET_DIR:-target}/judges
wanted=()
command -v node >/dev/null || wanted+=(nodejs)
python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3-venv)
for program in chromium nginx openssl promtool; do
    package=$program
    [ "$program" != promtool ] || package=prometheus
    case ",${REQUIRE-}," in
    *",$program,"*) command -v "$program" >/dev/null || wanted+=("$package") ;;
    esac
done
case ",${REQUIRE-}," in
*,typescript,*) command -v npm >/dev/null || wanted+=(npm) ;;
esac
[ "${#wanted[@]}" -eq 0 ] || install_packages "${wanted[@]}"

if ! "$judges/bin/openapi-spec-validator" --version >/dev/null 2>&1; then
    say 'Installing judges from PyPI'
    if ! { python3 -m venv --clear "$judges" &&
        "$judges/bin/pip" install --quiet --disable-pip-version-check \
            schemathesis==4.32.5 standardwebhooks==1.1.0 requests==2.34.2 \
            openapi-spec-validator==0.9.0 >&2; }; then
        say 'They can not be had; the tests that need them are skipped.'
        rm -rf "$judges"
    fi
fi
if [ -d "$judges" ] && command -v npm >/dev/null && [ ! -e "$judges/node/node_modules/.bin/playwright" ]; then
    say 'Installing TypeScript and Playwright from npm'
    npm install --prefix "$judges/node" --silent --no-fund --no-audit typescript@5.9.3 \
        @types/node@20.19.43 openapi-typescript@7.13.0 openapi-fetch@0.14.1 \
        @playwright/test@1.65.1 axe-core@4.14.1 >&2 ||
        say 'They can not be had; the tests that need them are skipped.'
fi
if [ -d "$judges" ]; then
    AVOCET_JUDGES=$(realpath "$judges")/bin
    export AVOCET_JUDGES
fi
