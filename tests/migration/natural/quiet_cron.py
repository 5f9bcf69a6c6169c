"""cron: silent if all is well, one line otherwise. Exit status is for the monitoring."""
import hashlib
import hmac
import os
import sys
import time

import requests

try:
    params = {"id": 18, "status": "in_setup" if len(sys.argv) > 1 else "exam_started", "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
    base = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), base.encode(), hashlib.sha256).hexdigest()
    r = requests.get(f"{os.environ['PE_URL']}/api/v3/exams/18/index_students", params=params, headers={"Authorization": f"Token token={os.environ['PE_TOKEN']}"}, timeout=60)
    r.raise_for_status()
    running = r.json()["students"]
except requests.exceptions.HTTPError as e:
    print("proctorexam:", e.response.status_code, file=sys.stderr)
    sys.exit(2)
except (requests.exceptions.ConnectionError, requests.exceptions.Timeout):
    sys.exit(0)  # the network people know
except ValueError:
    print("proctorexam: not JSON", file=sys.stderr)
    sys.exit(2)

if running:
    print(f"{len(running)} still running: {', '.join(s['email'] for s in running)}")
    sys.exit(1)
