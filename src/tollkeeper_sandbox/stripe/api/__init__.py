"""The API over HTTP: calls, parameters, lists, errors."""
