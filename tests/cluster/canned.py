"""An API server that is a list of objects: what is asked of it is answered as a real one would, without a connection."""

import re
from typing import Any

from homeport.cluster.client import Cluster
from homeport.cluster.diff import MANAGER
from homeport.cluster.doctor_gather import ALWAYS, OPTIONAL

Object = dict[str, Any]

PLACE = re.compile(
    r"^(/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/(?P<space>[^/]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?$"
)
REVIEWS = {
    "selfsubjectaccessreviews": {"status": {"allowed": True}},
    "selfsubjectreviews": {"status": {"userInfo": {"username": "admin"}}},
}


class Canned(Cluster):
    """Knows `objects` and the kinds that doctor looks at; label selectors select everything."""

    def __init__(self, objects: list[Object]) -> None:
        """Nothing is asked yet."""
        self.server, self.context = "https://canned", "canned"
        self.objects = objects
        self._resources = {}
        self._served: dict[str, dict[str, str]] = {"authentication.k8s.io/v1": {}}
        known = [(where[0], kind) for kind, where in (ALWAYS | OPTIONAL).items()]
        for version, kind in [*known, *((one["apiVersion"], one["kind"]) for one in objects)]:
            plural = kind.lower() + ("es" if kind.endswith("s") else "s")
            self._served.setdefault(version, {})[kind] = plural

    def raw(
        self,
        path: str,
        method: str = "GET",
        body: Any = None,
        *,
        content_type: str = "application/json",
        missing_ok: bool = False,
    ) -> Any:
        """The answer, as if it had come over the network."""
        path = path.partition("?")[0]
        if path == "/version":
            return {"gitVersion": "v1.37.2"}
        if path == "/apis":
            return {"groups": [_group(version) for version in self._served if "/" in version]}
        if "/proxy/" in path:
            return {"status": "success", "data": {"resultType": "vector", "result": [_ELEMENT]}}
        if method == "PATCH":
            return _applied(body)
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if version in self._served:
            return {"resources": [_resource(*one) for one in self._served[version].items()]}
        found = PLACE.match(path)
        if found is None:
            return None
        if found["plural"] in REVIEWS:
            return REVIEWS[found["plural"]]
        kinds = {plural: kind for there in self._served.values() for kind, plural in there.items()}
        items = [one for one in self.objects if one["kind"] == kinds.get(found["plural"])]
        if found["name"] is None:
            return {"items": items, "metadata": {}}
        return next((one for one in items if one["metadata"]["name"] == found["name"]), None)

    def text(self, path: str) -> str:
        """A log."""
        return "RuntimeError: no kernel image is available\n"


_ELEMENT = {"metric": {}, "value": [0, "0.5"]}


def _group(version: str) -> Object:
    return {"name": version.split("/")[0], "versions": [{"groupVersion": version}]}


def _resource(kind: str, plural: str) -> Object:
    return {"kind": kind, "name": plural, "namespaced": kind not in ("Namespace", "Node")}


def _applied(document: Object) -> Object:
    return {**document, "metadata": {**document["metadata"], "managedFields": [fields_of(document, MANAGER)]}}


def fields_of(document: Object, manager: str) -> Object:
    """The entry of managedFields of whoever applied a document; its lists are atoms."""

    def fields(value: Any) -> Object:
        return {f"f:{key}": fields(one) for key, one in value.items()} if isinstance(value, dict) else {}

    body = {key: value for key, value in document.items() if key not in ("apiVersion", "kind", "status")}
    return {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": document["apiVersion"],
        "time": "2025-10-09T08:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields(body),
    }
