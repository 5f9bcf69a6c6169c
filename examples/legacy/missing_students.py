"""Reads the e-mail addresses that ought to be in an exam from the standard input, and ends with 3 if any is not.

    cut -d, -f2 enrolled.csv | python missing_students.py 17 || mail -s 'missing students' exams@example.org
"""
import hashlib
import hmac
import os
import sys
import time

import requests


def fetch_students(exam_id):
    # One call a run, so seconds are unique enough for the nonce
    params = [('id', exam_id), ('nonce', int(time.time())), ('timestamp', int(time.time()) * 1000)]
    base = '?'.join('%s=%s' % pair for pair in params)   # sorted already
    digest = hmac.new(os.environ['PROCTOREXAM_SECRET'].encode(), base.encode(), hashlib.sha256)
    with requests.Session() as s:
        request = requests.Request(
            'GET', '%s/api/v3/exams/%s/index_students' % (os.environ['PROCTOREXAM_URL'], exam_id),
            params=params + [('signature', digest.hexdigest())],
            headers={'Authorization': 'Token token=%s' % os.environ['PROCTOREXAM_TOKEN']})
        response = s.send(s.prepare_request(request), timeout=30)
    if not response.ok:
        print('ProctorExam: %s' % response.status_code, file=sys.stderr)
        sys.exit(2)
    return response.json()['students']


if __name__ == '__main__':
    emails = {s['email'].lower() for s in fetch_students(sys.argv[1])}
    missing = [line.strip() for line in sys.stdin if line.strip().lower() not in emails]
    print('\n'.join(missing))
    sys.exit(3 if missing else 0)
