"""Rooms that are still open, with httpx."""
import hashlib
import hmac
import os
import time

import httpx


def sign(params: dict) -> dict:
    params = params | {"nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
    message = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
    signature = hmac.new(os.environ["PE_SECRET"].encode(), message.encode(), hashlib.sha256).hexdigest()
    return params | {"signature": signature}


with httpx.Client(
    base_url=os.environ["PE_URL"] + "/api/v3",
    headers={"Authorization": f"Token token={os.environ['PE_TOKEN']}", "Accept": "application/vnd.procwise.v3"},
    timeout=15,
) as client:
    for exam_id in (17, 19):
        response = client.get(f"/exams/{exam_id}/index_students", params=sign({"id": exam_id}))
        try:
            response.raise_for_status()
        except httpx.HTTPStatusError as error:
            print(exam_id, "failed with", error.response.status_code)
            continue
        open_rooms = [s["name"] for s in response.json()["students"] if s["entered_room"] and not s["end_time"]]
        print(exam_id, len(open_rooms), *open_rooms[:3], sep="\t")
