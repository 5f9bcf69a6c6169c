"""Attendance list of an exam, as the secretary pins it to the door: name, and whether the room was entered."""

import sys

from proctorexam_api import ProctorExam, ProctorExamError

api = ProctorExam()
exam = int(sys.argv[1])

present, absent = [], []
for student in api.students(exam):
    (present if student["entered_room"] else absent).append(student)

for title, students in (("Present", present), ("Absent", absent)):
    print(f"{title} ({len(students)})")
    for student in sorted(students, key=lambda s: (s["name"], s["id"])):
        print("   ", student["name"], "-", student["external_id"] or "no number")

# Whoever is first on the list opens the room: show the details once more, as they are now.
if present:
    opener = api.student(exam, present[0]["id"])
    print("Opens the room:", opener["name"], "on", opener["operating_system"] or "an unknown system")

# The door list of last year's exam is gone; the message goes onto the list as it is.
try:
    api.student(exam, 1)
except ProctorExamError as error:
    print("Last year:", error)
