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

create() {
    curl -sS --fail-with-body "$url/v1/jobs" -H "$auth" -H 'Content-Type: application/json' \
        -d "$1" | field jobId
}

# Asks for a job until it is at its end, and prints it.
wait_for() {
    local job
    while :; do
        job=$(curl -sS --fail-with-body "$url/v1/jobs/$1" -H "$auth")
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

preset=$(curl -sS --fail-with-body -X POST "$url/v1/presets/starters/web-ready-720p/clone" \
    -H "$auth" | field id)
id=$(create "{\"presetId\":\"$preset\",\"input\":{\"url\":\"$video\"}}")
job=$(wait_for "$id")
curl -sS --fail-with-body "$(field signedUrl <<<"$job")" -o web-ready.mp4
printf 'web-ready.mp4: %s bytes, by %s\n' "$(wc -c <web-ready.mp4)" "$(field strategy <<<"$job")"
