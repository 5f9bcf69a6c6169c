import hashlib
import hmac
import logging
import os
import sys
import time

import requests

logger = logging.getLogger(__name__)


class Api(object):
    def __init__(self, url, token, secret, session=None):
        self.url = url
        self.secret = secret
        self.session = session or requests.Session()
        self.session.headers.update({"Authorization": "Token token=%s" % token})

    def signature(self, params):
        base_string = "?".join("%s=%s" % (k, params[k]) for k in sorted(params))
        logger.debug("base string has %d characters", len(base_string))
        return hmac.new(self.secret.encode("utf-8"), base_string.encode("utf-8"), hashlib.sha256).hexdigest()

    def get(self, endpoint, **params):
        params.update({"timestamp": int(time.time() * 1000), "nonce": time.time_ns()})
        params["signature"] = self.signature(params)
        logger.info("GET %s", endpoint)
        try:
            resp = self.session.get(self.url + endpoint, params=params, timeout=30)
            resp.raise_for_status()
        except requests.exceptions.RequestException as e:
            logger.error("%s failed: %s", endpoint, e.__class__.__name__)
            return None
        logger.info("%d bytes or more", min(len(resp.content), 10))
        return resp.json()


def main(exam_id):
    api = Api(os.environ["PE_URL"], os.environ["PE_TOKEN"], os.environ["PE_SECRET"])
    data = api.get("/api/v3/exams/%s/index_students" % exam_id, id=exam_id, limit=100)
    if data is None:
        logger.critical("no data, stopping")
        return 1
    for s in data["students"]:
        if s["face_photo_file_size"] is None:
            logger.warning("no photo: %s", s["id"])
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)-8s %(message)s")
    sys.exit(main(sys.argv[1]))
