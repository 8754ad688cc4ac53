"""Refusals in the shape of Stripe's error object (https://docs.stripe.com/api/errors)."""

from typing import Any

DOCS = "https://stripe.com/docs/error-codes/"


class ApiError(Exception):
    """A call whose response is an error object instead of a result."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type_: str = "invalid_request_error",
        code: str | None = None,
        decline_code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type_
        self.code = code
        self.decline_code = decline_code
        self.param = param

    def body(self) -> dict[str, Any]:
        """Return the error object. Unlike in other objects, Stripe leaves out the fields that do not apply."""
        error: dict[str, Any] = {"message": self.message, "type": self.type}
        if self.code is not None:
            error["code"] = self.code
            if not self.code.startswith("sandbox_"):
                error["doc_url"] = DOCS + self.code.replace("_", "-")
        if self.decline_code is not None:
            error["decline_code"] = self.decline_code
        if self.param is not None:
            error["param"] = self.param
        return {"error": error}


class Declined(ApiError):
    """A decline. Nothing is undone: the bank has been asked, and has declined."""


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, code=code, param=param)


def no_such(noun: str, id_: str, *, param: str = "id", status: int = 404, in_other_mode: bool = False) -> ApiError:
    """Return a 404 for an object that a path names, or a 400 for one that a parameter names."""
    hint = "; a similar object exists in live mode, but a test mode key was used to make this request."
    message = f"No such {noun}: '{id_}'{hint if in_other_mode else ''}"
    return ApiError(status, message, code="resource_missing", param=param)


def unsupported_parameter(param: str) -> ApiError:
    message = f"Stripe has the parameter {param}, but this sandbox does not serve it."
    return invalid(message, param, "sandbox_unsupported_parameter")


def unsupported_value(param: str, value: object, served: tuple[object, ...]) -> ApiError:
    known = ", ".join(str(one).lower() if isinstance(one, bool) else str(one) for one in served)
    message = f"This sandbox does not serve {param}={value}, though Stripe may. It serves: {known}."
    return invalid(message, param, "sandbox_unsupported_value")


def unrecognized(method: str, path: str) -> ApiError:
    message = f"Unrecognized request URL ({method}: {path}). This sandbox serves no such call."
    return ApiError(404, message)


def api_failure() -> ApiError:
    return ApiError(500, "The sandbox failed while handling this request.", type_="api_error")
