import os
import sys
import time
import hmac
import hashlib
import requests

CONF = {
    "url": os.environ["PE_URL"],
    "token": os.environ["PE_TOKEN"],
    "secret": os.environ["PE_SECRET"],
}


def api(method, path, **params):
    params["nonce"] = int(time.time() * 1000000)
    params["timestamp"] = int(time.time() * 1000)
    text = "?".join("%s=%s" % (p, params[p]) for p in sorted(params))
    params["signature"] = hmac.new(CONF["secret"].encode(), text.encode(), hashlib.sha256).hexdigest()
    where = "params" if method == "GET" else "data"
    response = requests.request(
        method,
        CONF["url"] + "/api/v3" + path,
        headers={"Authorization": "Token token=" + CONF["token"]},
        timeout=30,
        **{where: params},
    )
    return response.status_code, response.json()


exam = sys.argv[1]
status, body = api("POST", "/exams/%s/add_student" % exam, id=exam, name="Proefpersoon Één", email="proef1@example.org")
print(status, body.get("error") or body["student"]["email"])
if status == 201:
    session_id = body["student"]["id"]
    status, body = api("GET", "/exams/%s/show_student" % exam, id=exam, student_session_id=session_id)
    print(status, body["student"]["name"], body["student"]["status"])
    status, body = api("DELETE", "/exams/%s/delete_student" % exam, id=exam, student_session_id=session_id)
    print(status, body)
status, body = api("GET", "/exams/%s/index_students" % exam, id=exam, limit=5)
print(status, [s["id"] for s in body["students"]] if status == 200 else body["error"])
