#!/usr/bin/env python3
# Nightly export for the examination office. Runs from cron at 02:30.
import argparse
import csv
import hashlib
import hmac
import logging
import os
import time
import uuid

import requests

log = logging.getLogger("export")

FIELDS = ["id", "student_id", "name", "email", "start_time", "end_time", "attempt"]


def signed_params(secret, **params):
    params["timestamp"] = str(int(time.time() * 1000))
    params["nonce"] = str(uuid.uuid4().int >> 70)
    to_sign = "?".join("{}={}".format(k, v) for k, v in sorted(params.items()))
    params["signature"] = hmac.new(secret.encode(), to_sign.encode(), digestmod="sha256").hexdigest()
    return params


def fetch_page(args, page):
    url = "{}/api/v3/exams/{}/index_students".format(args.url, args.exam)
    params = signed_params(args.secret, id=args.exam, status="exam_finished", page=page, limit=args.page_size)
    response = requests.get(url, params=params, headers={"Authorization": "Token token=%s" % args.token}, timeout=60)
    response.raise_for_status()
    return response


def main():
    parser = argparse.ArgumentParser(description="Export the finished sessions of an exam")
    parser.add_argument("exam", type=int)
    parser.add_argument("-o", "--output", default="finished.csv")
    parser.add_argument("--page-size", type=int, default=100)
    parser.add_argument("--url", default=os.environ.get("PROCTOREXAM_URL"))
    parser.add_argument("--token", default=os.environ.get("PROCTOREXAM_TOKEN"))
    parser.add_argument("--secret", default=os.environ.get("PROCTOREXAM_SECRET"))
    args = parser.parse_args()
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)

    rows = 0
    with open(args.output, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, fieldnames=FIELDS, extrasaction="ignore", delimiter=";")
        writer.writeheader()
        page = 1
        while True:
            response = fetch_page(args, page)
            for student in response.json()["students"]:
                writer.writerow(student)
                rows += 1
            pages = int(response.headers.get("X-Pagination-Page-Count", 1))
            log.info("page %d of %d", page, pages)
            if page >= pages:
                break
            page += 1
    log.info("%d rows written to %s", rows, args.output)


if __name__ == "__main__":
    main()
