#!/usr/bin/env bash
# The students of an exam who began since a day, the latest first: every page as it came, one a line.
#
#   EXAM_STUDENTS_URL=http://127.0.0.1:8080 EXAM_STUDENTS_TOKEN=... EXAM_STUDENTS_SECRET=... ./curl_openssl.sh 17
#
# Needs bash 4, curl and openssl. Neither the token nor the secret key stands in an argument of a program, where other
# people of the machine would see it.
set -euo pipefail

exam=$1
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT

# HMAC-SHA256 (RFC 2104) of the standard input, as hex; openssl's own -hmac would take the key as an argument.
signature() {
    local key i
    key=$(printf '%s' "$EXAM_STUDENTS_SECRET" | od -An -v -tx1 | tr -d ' \n')
    if [ ${#key} -gt 128 ]; then
        key=$(printf '%s' "$EXAM_STUDENTS_SECRET" | openssl dgst -sha256 -r | cut -d' ' -f1)
    fi
    local inner='' outer='' byte
    for ((i = 0; i < 128; i += 2)); do
        byte=${key:i:2}
        printf -v inner '%s\\x%02x' "$inner" $((0x${byte:-00} ^ 0x36))
        printf -v outer '%s\\x%02x' "$outer" $((0x${byte:-00} ^ 0x5c))
    done
    { printf '%b' "$outer"; { printf '%b' "$inner"; cat; } | openssl dgst -sha256 -binary; } |
        openssl dgst -sha256 -r | cut -d' ' -f1
}

page=1
pages=1
while [ "$page" -le "$pages" ]; do
    # A fresh time and nonce for every call and every attempt.
    parameters=(
        'filter={"start_time":{"gte":"2018-07-01"}}'
        'sort=[{"start_time":"desc"},{"id":"asc"}]'
        "limit=5"
        "page=$page"
        "timestamp=$(($(date +%s) * 1000))"
        "nonce=$(od -An -N7 -tu8 /dev/urandom | tr -d ' ')"
    )
    # Sorted by name, joined by ?, values as they are, the id of the path among them, and no line break at the end.
    text=$(printf '%s\n' "id=$exam" "${parameters[@]}" | LC_ALL=C sort | paste -sd '?' -)
    parameters+=("signature=$(printf '%s' "$text" | signature)")
    # Encoded only where they are sent.
    data=()
    for parameter in "${parameters[@]}"; do
        data+=(--data-urlencode "$parameter")
    done
    curl --silent --show-error --fail-with-body --get "${data[@]}" --dump-header "$headers" \
        --config <(printf 'header = "Authorization: Token token=%s"\n' "$EXAM_STUDENTS_TOKEN") \
        "$EXAM_STUDENTS_URL/api/v3/exams/$exam/index_students"
    echo
    pages=$(tr -d '\r' <"$headers" | sed -n 's/^x-pagination-page-count: //Ip')
    students=$(tr -d '\r' <"$headers" | sed -n 's/^x-pagination-item-count: //Ip')
    page=$((page + 1))
done
echo "$students students on $pages pages"
