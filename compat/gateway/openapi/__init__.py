"""The legacy interface as an OpenAPI 3.1 document, read off the declarations that answer it."""

from compat.gateway.openapi.document import document

__all__ = ["document"]
