"""The manifests of the guide to Kubernetes: what they name exists, and they ask for no more than the image gives."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.deploy.world import ROOT
from tests.unit.test_config import GOOD_SECRET

from tollkeeper.app import routes
from tollkeeper.config.load import load

GUIDE = (ROOT / "docs/kubernetes.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
MANIFESTS: list[dict[str, Any]] = [one for block in BLOCKS for one in yaml.safe_load_all(block)]
CONTAINERFILE = (ROOT / "Containerfile").read_text("utf-8")


def manifest(kind: str, name: str = "") -> dict[str, Any]:
    (found,) = (one for one in MANIFESTS if one["kind"] == kind and name in one["metadata"]["name"])
    return found


def pods() -> list[dict[str, Any]]:
    templates: list[dict[str, Any]] = [manifest(kind)["spec"]["template"]["spec"] for kind in ("Job", "Deployment")]
    return templates


def test_every_manifest_is_one() -> None:
    assert [one for one in MANIFESTS if not {"apiVersion", "kind", "metadata"} <= set(one)] == []


def test_the_settings_load_with_the_secrets_from_their_files(tmp_path: Path) -> None:
    """Their files here are those that the volume would hold."""
    secrets = manifest("Secret")["stringData"] | {"secret_key": GOOD_SECRET, "stripe_api_key": "sk_live_1"}
    for name, value in secrets.items():
        (tmp_path / name).write_text(value.replace("...", "1"))
    settings = manifest("ConfigMap")["data"]["tollkeeper.toml"]
    (mount,) = {one["mountPath"] for pod in pods() for each in pod["containers"] for one in each["volumeMounts"]} - {
        "/data",
        "/tmp",  # noqa: S108 - a place in the container
    }
    assert settings.count(f"{mount}/") == len(secrets)
    (tmp_path / "tollkeeper.toml").write_text(settings.replace(mount, str(tmp_path)).replace("price_...", "price_1"))
    config = load({}, tmp_path)
    assert (config.live, config.secret_keys) == (True, (GOOD_SECRET,))


def test_probes_ask_for_what_exists_where_it_listens() -> None:
    paths = {route.path for route in routes(webhooks_for=(), metrics=False)}
    (container,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[name]["httpGet"]
        assert (asked["path"] in paths, asked["port"]) == (True, port["name"])
    assert f"EXPOSE {port['containerPort']}\n" in CONTAINERFILE
    assert [one["targetPort"] for one in manifest("Service")["spec"]["ports"]] == [port["name"]]


@pytest.mark.parametrize("pod", pods(), ids=["job", "deployment"])
def test_pods_may_do_as_little_as_the_image_needs(pod: dict[str, Any]) -> None:
    user = pod["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}\n" in CONTAINERFILE
    assert user["runAsNonRoot"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_routes_ask_the_gate_before_the_app() -> None:
    """And what strangers call themselves is removed before the gate says who it is."""
    middlewares = [one["metadata"]["name"] for one in MANIFESTS if one["kind"] == "Middleware"]
    (rule,) = manifest("HTTPRoute", "app")["spec"]["rules"]
    assert [one["extensionRef"]["name"] for one in rule["filters"]] == middlewares
    (annotation,) = manifest("Ingress")["metadata"]["annotations"].values()
    assert annotation == ",".join(f"default-{name}@kubernetescrd" for name in middlewares)
    printed = re.findall(r"^ +(Remote[._]\w+): \"\"", (ROOT / "docs/gate.md").read_text("utf-8"), re.MULTILINE)
    strangers, paid = (one["spec"] for one in MANIFESTS if one["kind"] == "Middleware")
    assert strangers["headers"]["customRequestHeaders"] == dict.fromkeys(printed, "")
    assert paid["forwardAuth"]["trustForwardHeader"] is False
