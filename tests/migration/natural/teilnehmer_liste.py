# -*- coding: latin-1 -*-
# Erzeugt die Teilnehmerliste für das Prüfungsamt (Matrikelnummer, Name, Beginn)
import hashlib
import hmac
import os
import sys
import time

import requests

SCHLÜSSEL = os.environ['PE_SECRET']
KOPFZEILEN = {'Authorization': 'Token token=' + os.environ['PE_TOKEN']}


class Prüfung:
    def __init__(self, nummer):
        self.nummer = nummer
        self.adresse = os.environ['PE_URL'] + '/api/v3/exams/' + str(nummer) + '/index_students'

    def unterschrift(self, werte):
        grundtext = '?'.join(k + '=' + str(w) for k, w in sorted(werte.items()))
        return hmac.new(SCHLÜSSEL.encode(), grundtext.encode(), hashlib.sha256).hexdigest()

    def teilnehmer(self):
        werte = {'id': self.nummer, 'nonce': time.time_ns(), 'timestamp': int(time.time() * 1000)}
        werte['signature'] = self.unterschrift(werte)
        antwort = requests.get(self.adresse, params=werte, headers=KOPFZEILEN)
        if antwort.status_code == 403:
            sys.exit('Zugriff verweigert: ' + antwort.json()['error'])
        antwort.raise_for_status()
        return antwort.json()['students']


for nummer in sys.argv[1:]:
    prüfung = Prüfung(nummer)
    liste = sorted(prüfung.teilnehmer(), key=lambda t: (t['student_id'] is None, t['student_id'], t['id']))
    print('Prüfung', nummer)
    for t in liste:
        print('{:>18} {:<30} {}'.format(t['student_id'] or '-', t['name'], t['start_time'] or 'nicht begonnen'))
