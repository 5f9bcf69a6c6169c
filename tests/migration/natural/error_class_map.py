import hashlib
import hmac
import os
import sys
import time

import requests


class ApiError(Exception):
    exit_status = 1


class NotAllowed(ApiError):
    exit_status = 3


class Invalid(ApiError):
    exit_status = 4


class Unavailable(ApiError):
    exit_status = 5


ERRORS = {403: NotAllowed, 422: Invalid, 502: Unavailable, 503: Unavailable}


def get(exam, **params):
    params.update({"id": exam, "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)})
    base = "?".join(f"{k}={params[k]}" for k in sorted(params))
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), base.encode(), hashlib.sha256).hexdigest()
    r = requests.get(
        f"{os.environ['PE_URL']}/api/v3/exams/{exam}/index_students",
        params=params,
        headers={"Authorization": f"Token token={os.environ['PE_TOKEN']}"},
    )
    if r.status_code != 200:
        raise ERRORS.get(r.status_code, ApiError)(f"{r.status_code}: {r.json()['error']}")
    return r.json()


def main():
    students = get(17, sort='[{"end_time":"desc"}]', limit=3)["students"]
    for s in students:
        print(s["end_time"], s["name"])


if __name__ == "__main__":
    try:
        main()
    except ApiError as e:
        print(type(e).__name__, e, file=sys.stderr)
        sys.exit(e.exit_status)
