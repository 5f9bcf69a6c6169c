"""pe - little command line tool

    pe list EXAM [--status S]
    pe show EXAM SESSION
    pe add EXAM NAME EMAIL
    pe delete EXAM SESSION
"""
import argparse
import hashlib
import hmac
import os
import sys
import time

import requests


class Api:
    def __init__(self, exam):
        self.exam = exam
        self.base = "%s/api/v3/exams/%s/" % (os.environ["PROCTOREXAM_URL"], exam)
        self.headers = {"Authorization": "Token token=" + os.environ["PROCTOREXAM_TOKEN"]}

    def sign(self, params):
        params = dict(params, id=self.exam, nonce=time.time_ns(), timestamp=int(time.time() * 1000))
        base = "?".join("%s=%s" % (k, params[k]) for k in sorted(params))
        params["signature"] = hmac.new(os.environ["PROCTOREXAM_SECRET"].encode(), base.encode(), hashlib.sha256).hexdigest()
        return params

    def get(self, action, **params):
        return self.check(requests.get(self.base + action, params=self.sign(params), headers=self.headers))

    def post(self, action, **params):
        return self.check(requests.post(self.base + action, data=self.sign(params), headers=self.headers))

    def delete(self, action, **params):
        return self.check(requests.delete(self.base + action, params=self.sign(params), headers=self.headers))

    @staticmethod
    def check(response):
        if response.status_code >= 400:
            sys.exit("error: " + response.json()["error"])
        return response.json()


def cmd_list(api, args):
    query = {"status": args.status} if args.status else {}
    for s in api.get("index_students", **query)["students"]:
        print(s["id"], s["status"], s["email"])


def cmd_show(api, args):
    for key, value in api.get("show_student", student_session_id=args.session)["student"].items():
        print("%-30s %s" % (key, value))


def cmd_add(api, args):
    print(api.post("add_student", name=args.name, email=args.email)["student"]["id"])


def cmd_delete(api, args):
    api.delete("delete_student", student_session_id=args.session)
    print("deleted")


def main(argv=None):
    parser = argparse.ArgumentParser(prog="pe")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, function, extra in [
        ("list", cmd_list, ["--status"]),
        ("show", cmd_show, ["session"]),
        ("add", cmd_add, ["name", "email"]),
        ("delete", cmd_delete, ["session"]),
    ]:
        sub = commands.add_parser(name)
        sub.add_argument("exam")
        for each in extra:
            sub.add_argument(each)
        sub.set_defaults(function=function)
    for line in [argv] if argv else [each.split() for each in sys.stdin]:
        args = parser.parse_args(line)
        args.function(Api(args.exam), args)


if __name__ == "__main__":
    main(sys.argv[1:])
