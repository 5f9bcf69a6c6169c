from .client import Client
from .errors import ApiError, Forbidden

__all__ = ["ApiError", "Client", "Forbidden"]
