"""Who began an exam after the clock change: the report of late_starters.py, over the client class.

The first step that somebody took: no signing by hand any more, but still the old interface's methods.
"""

import sys

import compat

client = compat.ExamStudentsClient()  # the address and the account are in exam-compat.toml

page = client.index_students(
    int(sys.argv[1]),
    status="exam_finished",
    # The server compares the times, whatever their offset.
    filter={"start_time": {"gte": "2018-10-28T02:30:00+01:00"}, "attempt": {"lte": 1}},
    sort=[{"start_time": "desc"}, {"id": "asc"}],
    limit=25,
)
for student in page.students:
    print(student["start_time"], student["email"], student["operating_system"] or "-", sep="  ")
print(f"{len(page.students)} of {page.item_count}")
