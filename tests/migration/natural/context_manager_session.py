from contextlib import contextmanager
import hashlib, hmac, os, time
import requests


@contextmanager
def proctorexam():
    s = requests.Session()
    s.headers.update({'Authorization': 'Token token={}'.format(os.environ['PE_TOKEN'])})

    def get(exam, **p):
        p['id'] = exam
        p['timestamp'] = int(time.time() * 1000)
        p['nonce'] = time.time_ns()
        base = '?'.join('{}={}'.format(k, p[k]) for k in sorted(p))
        p['signature'] = hmac.new(os.environ['PE_SECRET'].encode(), base.encode(), hashlib.sha256).hexdigest()
        r = s.get('{}/api/v3/exams/{}/index_students'.format(os.environ['PE_URL'], exam), params=p)
        r.raise_for_status()
        return r.json()['students']

    try:
        yield get
    finally:
        s.close()


with proctorexam() as get:
    for student in get(18, status='exam_finished', limit=10):
        print(student['id'], student['name'], student['priority'], sep=';')
