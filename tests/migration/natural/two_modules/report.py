import hashlib
import hmac
import sys
import time

import requests

from pe_settings import BASE_URL, HEADERS, SECRET_KEY, STUDENTS_PATH


def students(exam):
    params = {"id": exam, "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
    base = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
    params["signature"] = hmac.new(SECRET_KEY.encode(), base.encode(), hashlib.sha256).hexdigest()
    response = requests.get(BASE_URL + STUDENTS_PATH % exam, params=params, headers=HEADERS)
    response.raise_for_status()
    return response.json()["students"]


for exam in sys.argv[1:]:
    per_day = {}
    for s in students(exam):
        day = (s["start_time"] or "")[:10] or "never"
        per_day[day] = per_day.get(day, 0) + 1
    for day in sorted(per_day):
        print(exam, day, per_day[day])
