# -*- coding: utf-8 -*-
"""Recreates kandidaten.csv from scratch (once a semester)."""
import csv, hashlib, hmac, os, time
import requests

api_url = os.environ['PROCTOREXAM_URL'] + '/api/v3/exams/19/index_students'
auth = {'Authorization': 'Token token=' + os.environ['PROCTOREXAM_TOKEN']}
page = 0
with open('kandidaten.csv', 'w', encoding='utf-8', newline='') as fh:
    out = csv.writer(fh, quoting=csv.QUOTE_ALL)
    while True:
        page += 1
        params = {'id': 19, 'page': page, 'limit': 10, 'nonce': time.time_ns(), 'timestamp': int(time.time() * 1000)}
        sig = hmac.new(os.environ['PROCTOREXAM_SECRET'].encode(),
                       '?'.join('%s=%s' % (k, params[k]) for k in sorted(params)).encode(), hashlib.sha256)
        params['signature'] = sig.hexdigest()
        r = requests.get(api_url, headers=auth, params=params)
        if not r.ok:
            print('Fout bij pagina %d: %s' % (page, r.json()['error']))
            break
        lijst = r.json()['students']
        if not lijst:
            break
        for s in lijst:
            out.writerow([s['id'], s['name'], s['email'], s['external_id']])
print('klaar na', page, "pagina's")
