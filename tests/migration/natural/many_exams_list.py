import hashlib, hmac, os, time
import requests

# name, url
sources = [
    ("Statistics I", os.environ["PE_URL"] + "/api/v3/exams/17/index_students", 17),
    ("Algebra", os.environ["PE_URL"] + "/api/v3/exams/18/index_students", 18),
    ("Calculus", os.environ["PE_URL"] + "/api/v3/exams/19/index_students", 19),
]

for name, url, exam_id in sources:
    p = {"id": exam_id, "nonce": time.time_ns(), "timestamp": int(time.time() * 1000)}
    text = "?".join(f"{k}={p[k]}" for k in sorted(p))
    p["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), text.encode(), hashlib.sha256).hexdigest()
    r = requests.get(url, params=p, headers={"Authorization": "Token token=" + os.environ["PE_TOKEN"]})
    if r.status_code == 200:
        s = r.json()["students"]
        print("%-14s%4d%4d" % (name, len(s), len([x for x in s if x["skip_requirements"]])))
    else:
        print("%-14s failed" % name)
