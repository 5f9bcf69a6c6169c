#!/usr/bin/python3
# Wer fehlt noch? Listet alle, die noch nicht angefangen haben.
import hashlib
import hmac
import os
import sys
import time

import requests


def api_get(pfad, werte):
    werte["nonce"] = time.time_ns()
    werte["timestamp"] = int(time.time() * 1000)
    text = "?".join(f"{k}={v}" for k, v in sorted(werte.items()))
    werte["signature"] = hmac.new(os.environ["PE_SECRET"].encode(), text.encode(), hashlib.sha256).hexdigest()
    kopf = {"Authorization": "Token token=" + os.environ["PE_TOKEN"]}
    return requests.get(os.environ["PE_URL"] + pfad, params=werte, headers=kopf).json()


prüfung = sys.argv[1]
antwort = api_get(f"/api/v3/exams/{prüfung}/index_students", {"id": prüfung})
if "error" in antwort:
    print("Fehler:", antwort["error"])
    for feld, texte in antwort.get("errors", {}).items():
        print("  ", feld, "→", ", ".join(texte))
    sys.exit(1)
fehlend = [s for s in antwort["students"] if s["status"] in ("registered", "exam_not_started")]
print(f"{len(fehlend)} von {len(antwort['students'])} fehlen noch")
for s in fehlend:
    print(" –", s["name"])
