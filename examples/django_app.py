"""A Django app, guarded as a whole. Every visitor it sees has paid, and Django learns who they are from headers."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from starlette.applications import Starlette
from starlette.routing import Mount

from tollkeeper import Tollkeeper, load


def front(request: HttpRequest) -> HttpResponse:
    """An app's page, as it was before."""
    return HttpResponse(f"Hello {request.headers['Remote-Name']}, you may use {request.headers['Remote-Groups']}")


urlpatterns = [path("", front), path("lessons/<int:number>", lambda request, number: HttpResponse(f"Lesson {number}"))]
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY") or os.urandom(32).hex()
)

tollkeeper = Tollkeeper(load())
app = Starlette(
    routes=[
        Mount(tollkeeper.path, tollkeeper),
        Mount("/", tollkeeper.guard(get_asgi_application(), "dashboard")),
    ],
    lifespan=tollkeeper.lifespan,
)
