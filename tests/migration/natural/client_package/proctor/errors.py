class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__("%s: %s" % (status, body.get("error", "unknown")))
        self.status = status
        self.errors = body.get("errors", {})


class Forbidden(ApiError):
    pass
