"""A stranger's repository: callers in many languages, and programs whose names only look like the old route."""

from __future__ import annotations

import json
from pathlib import Path

ROUTE = "/api/v3/exams/17/index_students"
URL = "https://acme.proctorexam.com" + ROUTE

FILES = {
    "rails/config/routes.rb": """\
Rails.application.routes.draw do
  get "exams/:id/index_students", to: "exams#index_students"
  resources :exams do
    member { get :index_students }
  end
end
""",
    "rails/app/controllers/exams_controller.rb": """\
class ExamsController < ApplicationController
  before_action :find_exam, only: [:index_students, :show_student]

  def index_students
    @students = @exam.students
    render "exams/index_students"
  end
end
""",
    "rails/app/views/exams/show.html.erb": """\
<%# exams/17/index_students is the old address %>
<%= link_to "Students", action: "index_students" %>
<%= render partial: "exams/index_students", locals: { exam: @exam } %>
<!-- /api/v3/exams/17/index_students -->
""",
    "rails/app/services/proctor.rb": """\
class Proctor
  # GET /api/v3/exams/17/index_students
  def students(exam)
    Net::HTTP.get(URI("#{BASE}/api/v3/exams/#{exam}/index_students"))
  end
=begin
/api/v3/exams/17/index_students
=end
end
""",
    "django/exams/urls.py": """\
from django.urls import path

from . import views

urlpatterns = [
    path("exams/<int:pk>/index_students/", views.index_students, name="index_students"),
]
""",
    "django/exams/views.py": """\
from django.shortcuts import redirect, render
from django.urls import reverse


def index_students(request, pk):
    \"\"\"What /api/v3/exams/17/index_students showed.\"\"\"
    return render(request, "exams/index_students.html", {})


def moved(request):
    return redirect(reverse("index_students"))
""",
    "django/exams/templates/exams/index_students.html": """\
{% url 'index_students' exam.pk %}
{# /api/v3/exams/17/index_students #}
""",
    "etc/cron.d/exams": f"""\
# nightly, {ROUTE}
SHELL=/bin/sh
0 3 * * * root curl -s https://acme.proctorexam.com{ROUTE} > /srv/out
""",
    "etc/systemd/exams.service": f"[Service]\nExecStart=/usr/bin/curl {URL}\n",
    "bin/export": f"#!/usr/bin/env python3\nimport requests\nrequests.get('{URL}')\n",
    "bin/report": f'#!/bin/ksh\nwget "{URL}"\n',
    "Dockerfile": f"FROM alpine\nHEALTHCHECK CMD wget -q {URL} # {ROUTE}\n",
    "Makefile": f"students:\n\tcurl {URL}\n",
    "Jenkinsfile": f"// {ROUTE}\nsh 'curl {URL}'\n",
    "load/k6.js": """\
import http from 'k6/http';
/* the old list:
   /api/v3/exams/17/index_students */
export default () => http.get(`${__ENV.BASE}/api/v3/exams/${__ENV.EXAM}/index_students?page=1`);
""",
    "load/plan.jmx": '<stringProp name="HTTPSampler.path">/api/v3/exams/${exam}/index_students</stringProp>\n',
    "api/exams.postman_collection.json": json.dumps(
        {
            "item": [
                {"request": {"url": {"raw": "{{base}}/api/v3/exams/:id/index_students"}}},
                {"request": {"url": {"path": ["api", "v3", "exams", "17", "show_student"]}}},
            ]
        }
    ),
    "api/list.bru": "get {\n  url: {{host}}/api/v3/exams/{{exam}}/index_students\n}\n",
    "api/list.http": f"### the list\nGET {URL}\n# {ROUTE}\n",
    "docs/README.md": f"""\
The list `index_students` is gone: {URL} answers no more.

```sh
curl {URL}
# or {ROUTE}
```
""",
    "docs/notes.txt": f"ask Ann about {ROUTE}\n{URL}\n",
    "docs/study.Rmd": f"About {ROUTE}.\n\n```{{r}}\nstudents <- fromJSON('{ROUTE}')\n```\n",
    "robot/list.robot": f"*** Test Cases ***\nList\n    GET    {URL}\n    # {ROUTE}\n",
    "win/list.ps1": "Invoke-RestMethod -Uri ($Base + '/exams/' + $Exam +\n  '/show_student')\n",
    "win/list.bat": f"REM {ROUTE}\ncurl {URL}\n",
    "sql/log.sql": f"-- {ROUTE}\nSELECT * FROM log WHERE path = '{ROUTE}';\n",
    "conf/app.env": "STUDENTS_ACTION=index_students\n",
    "conf/app.yml": "# action: index_students\naction: index_students\n",
    "lua/list.lua": f"-- {ROUTE}\nhttp.request('{URL}')\n",
    "java/Client.java": '// /api/v3/exams/1/index_students\nget(base + "/exams/" + id + "/delete_student");\n',
    "py/old.py": f"import urllib2\nprint urllib2.urlopen('{URL}').read()\n",
    "py/flaskapp.py": (
        "from flask import Flask\napp = Flask(__name__)\n\n\n"
        "@app.route('/exams/<id>/index_students')\ndef index_students(id):\n    return ''\n"
    ),
}

EXPECTED = {
    "Dockerfile": {2: "certain"},
    "Jenkinsfile": {1: "mention", 2: "certain"},
    "Makefile": {2: "certain"},
    "api/exams.postman_collection.json": {1: "certain"},
    "api/list.bru": {2: "certain"},
    "api/list.http": {2: "certain", 3: "mention"},
    "bin/export": {3: "certain"},
    "bin/report": {2: "certain"},
    "conf/app.env": {1: "likely"},
    "conf/app.yml": {1: "mention", 2: "likely"},
    "django/exams/templates/exams/index_students.html": {1: "mention", 2: "mention"},
    "django/exams/urls.py": {6: "mention"},
    "django/exams/views.py": {5: "mention", 6: "mention", 7: "mention", 11: "mention"},
    "docs/README.md": {1: "mention", 4: "certain", 5: "mention"},
    "docs/notes.txt": {1: "mention", 2: "certain"},
    "docs/study.Rmd": {1: "mention", 4: "certain"},
    "etc/cron.d/exams": {1: "mention", 3: "certain"},
    "etc/systemd/exams.service": {2: "certain"},
    "java/Client.java": {1: "mention", 2: "certain"},
    "load/k6.js": {3: "mention", 4: "certain"},
    "load/plan.jmx": {1: "certain"},
    "lua/list.lua": {1: "mention", 2: "certain"},
    "py/flaskapp.py": {5: "mention", 6: "mention"},
    "py/old.py": {2: "certain"},
    "rails/app/controllers/exams_controller.rb": {2: "mention", 4: "mention", 6: "mention"},
    "rails/app/services/proctor.rb": {2: "mention", 4: "certain", 7: "mention"},
    "rails/app/views/exams/show.html.erb": {1: "mention", 2: "mention", 3: "mention", 4: "mention"},
    "rails/config/routes.rb": {2: "mention", 4: "mention"},
    "robot/list.robot": {3: "certain", 4: "mention"},
    "sql/log.sql": {1: "mention", 2: "certain"},
    "win/list.bat": {1: "mention", 2: "certain"},
    "win/list.ps1": {2: "certain"},
}
"""The file, and the grade of each line in which something is found."""


def write(folder: Path) -> Path:
    """The repository, in a folder."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
