"""Tells the proctors' channel who joins an exam and who leaves it. A systemd service; ends on SIGTERM.

    PROCTOREXAM_POLL=30 python watch_exam.py 17
"""

import hashlib
import hmac
import logging
import os
import random
import signal
import sys
import time

import requests

POLL = float(os.environ.get("PROCTOREXAM_POLL", "30"))
log = logging.getLogger("watch")
running = True


def read_students(http, exam_id):
    params = {"timestamp": int(time.time() * 1000), "nonce": random.getrandbits(60)}
    base_string = "?".join(f"{k}={v}" for k, v in sorted(dict(params, id=exam_id).items()))
    params["signature"] = hmac.new(
        os.environ["PROCTOREXAM_SECRET"].encode(), base_string.encode(), hashlib.sha256
    ).hexdigest()
    url = f"{os.environ['PROCTOREXAM_URL']}/api/v3/exams/{exam_id}/index_students/"
    response = http.get(url, params=params, timeout=20)
    response.raise_for_status()
    return {student["id"]: student for student in response.json()["students"]}


def stop(*_):
    # No more than this: a lock taken in here could be the one that the main program holds.
    global running
    running = False


def pause():
    # In short steps, since a signal does not end a sleep.
    ends = time.monotonic() + POLL
    while running and time.monotonic() < ends:
        time.sleep(min(POLL, 0.5))


def watch(exam_id):
    http = requests.Session()  # one for the life of the service
    http.headers["Authorization"] = "Token token=" + os.environ["PROCTOREXAM_TOKEN"]
    known = None
    while running:
        try:
            students = read_students(http, exam_id)
        except requests.RequestException:
            # The next round will do. The URL is not logged, since the signature is in it.
            log.warning("could not read exam %s", exam_id)
        else:
            if known is None:
                print(f"watching exam {exam_id}: {len(students)} students", flush=True)
                known = students
            for session_id in sorted(students.keys() - known.keys()):
                print("joined:", students[session_id]["name"], flush=True)
            for session_id in sorted(known.keys() - students.keys()):
                print("left:", known[session_id]["name"], flush=True)
            known = students
        pause()
    print("stopped", flush=True)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    watch(sys.argv[1])
