#!/usr/bin/env python
# Old script of the registry, ported from Python 2 with as few changes as possible.
import sys, os, time, hmac, hashlib, random
import requests

class PE:
	def __init__(self):
		self.url = os.environ['PE_URL']
		self.token = os.environ['PE_TOKEN']
		self.secret = os.environ['PE_SECRET']

	def sig(self, d):
		keys = list(d.keys())
		keys.sort()
		s = ''
		for k in keys:
			if s != '':
				s = s + '?'
			s = s + k + '=' + str(d[k])
		return hmac.new(self.secret.encode(), s.encode(), hashlib.sha256).hexdigest()

	def students(self, exam):
		d = {}
		d['id'] = exam
		d['nonce'] = '%d%03d' % (time.time() * 1000, random.randrange(1000))
		d['timestamp'] = '%d' % (time.time() * 1000)
		d['signature'] = self.sig(d)
		r = requests.get(self.url + '/api/v3/exams/%s/index_students' % exam, params=d,
			headers={'Authorization': 'Token token=%s' % self.token})
		if r.status_code != 200:
			print('%% error %d for exam %s' % (r.status_code, exam))
			return []
		return r.json()['students']

pe = PE()
for exam in sys.argv[1:]:
	n = 0
	for s in pe.students(exam):
		if s['id_card_file_name'] is None:
			n = n + 1
			if n <= 3:
				print('%s\tno id card\t%s' % (exam, s['name']))
	print('%s\t%d without id card' % (exam, n))
