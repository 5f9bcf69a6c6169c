"""Keeps the raw answer for the auditors, one file per exam."""
import hashlib
import hmac
import os
import time
import json
import pathlib

import requests

target = pathlib.Path("raw")
target.mkdir(exist_ok=True)

for exam_id in ("17", "18"):
    params = {"id": exam_id, "timestamp": int(time.time() * 1000), "nonce": time.time_ns()}
    base = "?".join("=".join((k, str(v))) for k, v in sorted(params.items()))
    params["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), base.encode(), hashlib.sha256).hexdigest()
    r = requests.get(
        os.environ["PE_URL"] + "/api/v3/exams/" + exam_id + "/index_students",
        params=params,
        headers={"Authorization": "Token token=" + os.environ["PE_TOKEN"]},
    )
    r.raise_for_status()
    (target / (exam_id + ".json")).write_bytes(r.content)
    print(exam_id, len(json.loads(r.content)["students"]), "kept")
