import os

BASE_URL = os.environ["PROCTOREXAM_URL"]
API_TOKEN = os.environ["PROCTOREXAM_TOKEN"]
SECRET_KEY = os.environ["PROCTOREXAM_SECRET"]
API_PATH = "/api/v3"
STUDENTS_PATH = API_PATH + "/exams/%s/index_students"
HEADERS = {"Authorization": "Token token=%s" % API_TOKEN, "Accept": "application/vnd.procwise.v3"}
