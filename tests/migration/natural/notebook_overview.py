# %% [markdown]
# ## Overview of the June resit
# exported from the notebook, runs top to bottom

# %%
import hashlib
import hmac
import json
import os
import time

import requests

# %%
exam_id = 18
base = os.environ["PE_URL"]
tok, sec = os.environ["PE_TOKEN"], os.environ["PE_SECRET"]

# %%
p = {"id": exam_id, "nonce": int(time.time() * 1e6), "timestamp": int(time.time() * 1e3)}
p["sort"] = json.dumps([{"start_time": "desc"}, {"id": "asc"}])
s = "?".join([f"{k}={v}" for k, v in sorted(p.items())])
p["signature"] = hmac.new(sec.encode(), s.encode(), hashlib.sha256).hexdigest()
resp = requests.get(f"{base}/api/v3/exams/{exam_id}/index_students", params=p, headers={"Authorization": f"Token token={tok}"})
resp.status_code

# %%
students = resp.json()["students"]
print(len(students), "students")

# %%
by_os = {}
for st in students:
    by_os.setdefault(st["operating_system"] or "unknown", []).append(st["id"])
for name in sorted(by_os):
    print(f"{name:15} {len(by_os[name]):3}  {by_os[name][:3]}")

# %%
long_ones = [st for st in students if st["end_time"] and st["start_time"] and st["end_time"][11:16] > "18:00"]
print([st["email"] for st in long_ones][:5])
