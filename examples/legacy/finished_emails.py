#!/usr/bin/env python
# Addresses of everybody who has finished, for the thank-you mail. Run by hand after the exam:
#
#   python finished_emails.py 17 18 > to.txt
#
import hashlib
import hmac
import os
import sys
import time

import requests

URL = os.environ['PROCTOREXAM_URL']
TOKEN = os.environ['PROCTOREXAM_TOKEN']
SECRET = os.environ['PROCTOREXAM_SECRET']


def sign(params):
    # sorted, joined by ?, NOT urlencoded (support told us so)
    base = '?'.join('%s=%s' % (k, params[k]) for k in sorted(params))
    return hmac.new(SECRET.encode('utf-8'), base.encode('utf-8'), hashlib.sha256).hexdigest()


for exam_id in sys.argv[1:]:
    params = {
        'id': exam_id,  # yes, again: it is signed, so we send it too
        'status': 'exam_finished',
        'timestamp': int(time.time() * 1000),
        'nonce': int(time.time() * 1000000),
    }
    params['signature'] = sign(params)
    r = requests.get(URL + '/api/v3/exams/%s/index_students' % exam_id, params=params,
                     headers={'Authorization': 'Token token=' + TOKEN})
    r.raise_for_status()
    print('# exam %s' % exam_id)
    for student in r.json()['students']:
        print(student['email'])
