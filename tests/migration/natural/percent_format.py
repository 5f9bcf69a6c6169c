import hashlib, hmac, os, sys, time
import requests

url = '%s/api/v3/exams/%s/%s' % (os.environ['PE_URL'], sys.argv[1], 'index_students')
ts = '%d' % (time.time() * 1000)
nonce = '%d' % (time.time() * 1000000)
base = 'id=%s?limit=%s?nonce=%s?timestamp=%s' % (sys.argv[1], '10', nonce, ts)
sig = hmac.new(os.environ['PE_SECRET'].encode('ascii'), base.encode('ascii'), hashlib.sha256).hexdigest()
r = requests.get('%s?id=%s&limit=10&nonce=%s&timestamp=%s&signature=%s' % (url, sys.argv[1], nonce, ts, sig),
                 headers={'Authorization': 'Token token=%s' % os.environ['PE_TOKEN'],
                          'Accept': 'application/vnd.procwise.v3'})
r.raise_for_status()
print('%d of %s' % (len(r.json()['students']), r.headers['X-Pagination-Item-Count']))
for s in r.json()['students']:
    print('%(id)d %(email)s' % s)
