#!/usr/bin/env bash
# Makes a thumbnail of a video with curl, then a web-ready copy by a preset.
#
#   AVOCET_KEY=avo_… examples/quickstart/quickstart.sh https://host/video.mp4 [WEBHOOK_URL]
#
# AVOCET_URL is where the service is; default: http://127.0.0.1:8080
set -euo pipefail

video=$1
webhook=${2-}
url=${AVOCET_URL:-http://127.0.0.1:8080}
auth="Authorization: Bearer $AVOCET_KEY"

# Takes one field out of an answer: field NAME.
field() {
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

# Asks for something, and prints the answer: call PATH [OPTIONS OF CURL]
call() {
    local path=$1 answer
    shift
    if ! answer=$(curl -sS --fail-with-body "$url$path" -H "$auth" "$@"); then
        printf '%s\n' "$answer" >&2
        return 1
    fi
    printf '%s\n' "$answer"
}

create() {
    call /v1/jobs -H 'Content-Type: application/json' -d "$1" | field jobId
}

# Asks for a job until it is at its end, and prints it.
wait_for() {
    local job
    while :; do
        job=$(call "/v1/jobs/$1")
        case $(field state <<<"$job") in
        completed) break ;;
        failed | rejected | cancelled)
            printf '%s\n' "$job" >&2
            return 1
            ;;
        esac
        sleep 0.5
    done
    printf '%s\n' "$job"
}

hook=
[ -z "$webhook" ] || hook=",\"webhookUrl\":\"$webhook\""
id=$(create "{\"mode\":\"recipe\",\"input\":{\"url\":\"$video\"},\"output\":{\"format\":\"jpg\"},\"recipe\":{\"name\":\"thumbnail\",\"seekSeconds\":1}$hook}")
job=$(wait_for "$id")
curl -sS --fail-with-body "$(field signedUrl <<<"$job")" -o thumbnail.jpg
printf 'thumbnail.jpg: %s bytes\n' "$(wc -c <thumbnail.jpg)"

preset=$(call /v1/presets/starters/web-ready-720p/clone -X POST | field id)
id=$(create "{\"presetId\":\"$preset\",\"input\":{\"url\":\"$video\"}}")
job=$(wait_for "$id")
curl -sS --fail-with-body "$(field signedUrl <<<"$job")" -o web-ready.mp4
printf 'web-ready.mp4: %s bytes, by %s\n' "$(wc -c <web-ready.mp4)" "$(field strategy <<<"$job")"
