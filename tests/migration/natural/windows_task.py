# Geplante Aufgabe unter Windows; bitte Zeilenenden nicht aendern!
import hashlib
import hmac
import json
import os
import time

import requests

with open("konto.json", encoding="utf-8") as f:
    konto = json.load(f)

params = {"id": konto["exam"], "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
text = "?".join(f"{k}={params[k]}" for k in sorted(params))
params["signature"] = hmac.new(konto["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
r = requests.get(
    konto["url"] + f"/api/v3/exams/{konto['exam']}/index_students",
    params=params,
    headers={"Authorization": "Token token=" + konto["token"]},
)
r.raise_for_status()
with open("teilnehmer.txt", "w", encoding="utf-8") as f:
    for s in r.json()["students"]:
        f.write(f"{s['name']}\t{s['email']}\n")
print("fertig")
