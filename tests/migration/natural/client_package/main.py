import json
import os
import sys

from proctor import ApiError, Client, Forbidden

client = Client(os.environ["PE_URL"], os.environ["PE_TOKEN"], os.environ["PE_SECRET"])
try:
    rows = [(s["id"], s["recording_started_at"]) for s in client.students(sys.argv[1]) if s["recording_started_at"]]
    if rows:
        first = client.student(sys.argv[1], min(rows, key=lambda row: row[1])[0])
        json.dump({"recorded": len(rows), "first": first["email"]}, sys.stdout)
        print()
except Forbidden as error:
    print("forbidden:", error)
    sys.exit(13)
except ApiError as error:
    print("failed:", error, dict(error.errors))
    sys.exit(1)
