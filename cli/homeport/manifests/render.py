"""From a plan to documents: decisions become values, templates place them."""

from collections.abc import Iterator

import msgspec

from homeport.engines.types import Server
from homeport.errors import HomeportError, Problem, SpecError
from homeport.manifests import naming, network, pods, provisioning, scaling, weights
from homeport.manifests.compiled import TEMPLATES
from homeport.manifests.parsing import load
from homeport.manifests.types import Document
from homeport.manifests.validate import validate
from homeport.manifests.values import (
    ConfigMap,
    Container,
    Job,
    Meta,
    Namespace,
    Scaler,
    ServiceAccount,
    Value,
    Workload,
)
from homeport.planning.types import ModelPlan, Plan

AUTOSCALING = "autoscaling"
MONITORING = "monitoring"

RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}

# kind -> (apiVersion, template, component)
KINDS: dict[str, tuple[str, str, str | None]] = {
    "Namespace": ("v1", "namespace", None),
    "EC2NodeClass": ("karpenter.k8s.aws/v1", "ec2nodeclass", provisioning.NODES),
    "AKSNodeClass": ("karpenter.azure.com/v1beta1", "aksnodeclass", provisioning.NODES),
    "NodePool": ("karpenter.sh/v1", "nodepool", provisioning.NODES),
    "ComputeClass": ("cloud.google.com/v1", "computeclass", provisioning.NODES),
    "ServiceAccount": ("v1", "serviceaccount", None),
    "ConfigMap": ("v1", "configmap", None),
    "PersistentVolume": ("v1", "persistentvolume", None),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaim", None),
    "Job": ("batch/v1", "job", None),
    "Deployment": ("apps/v1", "deployment", None),
    "LeaderWorkerSet": ("leaderworkerset.x-k8s.io/v1", "leaderworkerset", None),
    "Service": ("v1", "service", None),
    "Ingress": ("networking.k8s.io/v1", "ingress", None),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", "httproute", None),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudget", None),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicy", None),
    "ScaledObject": ("keda.sh/v1alpha1", "scaledobject", AUTOSCALING),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscaler", AUTOSCALING),
    "PodMonitor": ("monitoring.coreos.com/v1", "podmonitor", MONITORING),
}

# A model's name as it stands while its documents are rendered; the real one replaces it in the text. As long as a name
# may be, so that limits on lengths hold for every name if they hold for this one.
PLACEHOLDER = "homeport-placeholder-for-a-models-name-0"

# Names that YAML readers take for something else than a string.
_AMBIGUOUS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


# What a plan of one model holds besides what is compared by value.
_DECISIONS = tuple(name for name in ModelPlan.__struct_fields__ if name not in ("spec", "launch"))


class InvalidDocumentError(HomeportError):
    """A rendered object that a strict API server would refuse: what the spec says has no place in it."""

    def __init__(self, kind: str, name: str, errors: list[str]) -> None:
        """Name the object and what is wrong with it."""
        listed = "; ".join(errors)
        super().__init__(f"the {kind} '{name}' would be refused: {listed}")
        self.kind = kind
        self.errors = errors


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One object before its template: its kind, its file's name and its values."""

    kind: str
    stem: str
    value: Value


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One rendered object of a model, with PLACEHOLDER for the model's name; `json` is what `text` holds."""

    kind: str
    stem: str
    name: str
    namespace: str | None
    text: str
    json: bytes


def namespace_of(plan: Plan) -> str:
    """The namespace that everything goes to."""
    return plan.spec.namespace or plan.spec.name


def documents(plan: Plan) -> list[Document]:
    """Every Kubernetes object of the plan, in the order in which they are applied: the namespace first.

    Each is valid against the bundled schemas. Models that differ only in their name share the work. Raises SpecError
    for what cannot be rendered, with the field's path in the spec, and InvalidDocumentError for what a strict API server
    would refuse.
    """
    renderer = Renderer(plan)
    found = [renderer.namespace(), *renderer.nodes()]
    for index in range(len(plan.models)):
        found += renderer.model(index)
    _refuse_twins(found, plan)
    return found


class Renderer:
    """Renders the documents of one plan, and remembers the shapes that several models share."""

    def __init__(self, plan: Plan) -> None:
        """Prepare for one plan."""
        self.plan = plan
        self.where = provisioning.where(plan)
        self.namespace_name = namespace_of(plan)
        self.by_value: dict[bytes, Shape] = {}
        self.by_decisions: dict[tuple[object, ...], list[Shape]] = {}
        self.encode = msgspec.msgpack.Encoder().encode
        self.placeholder_is_free = PLACEHOLDER.encode() not in self.encode(plan.spec)

    def namespace(self) -> Document:
        """The namespace, where only pods of the restricted profile may run."""
        meta = Meta(
            name=self.namespace_name,
            namespace=None,
            labels={**naming.common(self.plan.spec.name), **RESTRICTED},
        )
        shape = _shape(Item(kind="Namespace", stem="namespace", value=Namespace(meta=meta)))
        return _document(shape, None, None)

    def nodes(self) -> list[Document]:
        """What makes the cluster's nodes, where the spec says that the cluster makes them."""
        return [
            _document(
                _shape(Item(kind=kind, stem=f"{kind.lower()}-{value.meta.name}", value=value)), None, None
            )
            for kind, value in provisioning.objects(self.plan)
        ]

    def model(self, index: int) -> list[Document]:
        """The documents of one model."""
        model = self.plan.models[index]
        name = model.spec.name
        try:
            if not (self.placeholder_is_free and name[0].isalpha() and name not in _AMBIGUOUS):
                return [_document(_shape(item), name, None) for item in self.items(model)]
            return [_document(shape, name, name) for shape in self._shapes(renamed(model, PLACEHOLDER))]
        except SpecError as error:
            raise SpecError(
                [msgspec.structs.replace(p, path=("models", index, *p.path)) for p in error.problems]
            ) from None

    def _shapes(self, model: ModelPlan) -> list[Shape]:
        """The rendered objects of a model under the placeholder's name.

        Templates see nothing but values, so objects with the same values have the same text, whatever model they are of.
        Models that share the very objects of their plan (the planner decides alike ones once) have the same values
        without a look at them.
        """
        decisions = (model.spec, model.launch, *(id(getattr(model, name)) for name in _DECISIONS))
        if decisions not in self.by_decisions:
            self.by_decisions[decisions] = [self._known(item) for item in self.items(model)]
        return self.by_decisions[decisions]

    def _known(self, item: Item) -> Shape:
        value = self.encode((item.kind, item.stem, item.value))
        if value not in self.by_value:
            self.by_value[value] = _shape(item)
        return self.by_value[value]

    def items(self, model: ModelPlan) -> Iterator[Item]:
        """The objects of one model, in the order in which they are applied."""
        from homeport.engines import registry

        server = registry.server(model.engine, model.launch)
        part_of = self.plan.spec.name
        meta = naming.meta(model, self.namespace_name, part_of)
        yield Item(kind="ServiceAccount", stem="serviceaccount", value=ServiceAccount(meta=meta))
        if server.files:
            files = tuple((pods.file_key(path), text) for path, text in server.files.items())
            named = naming.meta(model, self.namespace_name, part_of, "-files")
            yield Item(kind="ConfigMap", stem="configmap", value=ConfigMap(meta=named, files=files))
        yield from self._workload(model, server, meta)
        yield from self._around(model, server, meta)

    def _workload(self, model: ModelPlan, server: Server, meta: Meta) -> Iterator[Item]:
        part_of = self.plan.spec.name
        spot = self.plan.spec.target.capacity == "spot"
        delivery = weights.delivery(model, server, self.where, self.namespace_name, part_of, model.image)
        whole = weights.together(delivery, weights.adapters(model, model.image))
        if delivery.local is not None:
            yield Item(kind="PersistentVolume", stem="persistentvolume", value=delivery.local)
        if delivery.claim is not None:
            yield Item(kind="PersistentVolumeClaim", stem="persistentvolumeclaim", value=delivery.claim)
        if delivery.download is not None:
            yield Item(kind="Job", stem="job", value=self._job(model, delivery, delivery.download, spot=spot))
        times = pods.timing(model, whole.wait_s)
        replicas, replicas_why = scaling.replicas(model)
        many = model.nodes_per_replica > 1
        workload = Workload(
            meta=naming.meta(model, self.namespace_name, part_of, "-group") if many else meta,
            selector=naming.selector(model),
            replicas=replicas,
            replicas_why=replicas_why,
            progress_s=times.progress_s,
            progress_why=times.progress_why,
            pod=pods.server_pod(model, server, self.where, part_of, whole, spot=spot, worker=False),
            worker=pods.server_pod(model, server, self.where, part_of, whole, spot=spot, worker=True)
            if many
            else None,
            size=model.nodes_per_replica,
            size_why=f"{model.gpus_per_replica} GPUs on {model.nodes_per_replica} nodes are one replica",
        )
        kind = "LeaderWorkerSet" if many else "Deployment"
        yield Item(kind=kind, stem=kind.lower(), value=workload)
        yield Item(kind="Service", stem="service", value=network.service(model, meta, self.where))
        for policy in network.policies(model, meta, self.where, self.plan.spec.observability, whole):
            yield Item(kind="NetworkPolicy", stem=_stem("networkpolicy", policy.meta, meta), value=policy)

    def _around(self, model: ModelPlan, server: Server, meta: Meta) -> Iterator[Item]:
        route = network.route(model, meta, self.where)
        if route is not None:
            kind = "Ingress" if model.spec.expose.kind == "ingress" else "HTTPRoute"
            yield Item(kind=kind, stem=kind.lower(), value=route)
        budget = scaling.budget(model, meta)
        if budget is not None:
            yield Item(kind="PodDisruptionBudget", stem="poddisruptionbudget", value=budget)
        watch = self.plan.spec.observability
        many = model.nodes_per_replica > 1
        scaler = scaling.scaler(
            model,
            meta,
            server.metrics,
            watch,
            KINDS["LeaderWorkerSet" if many else "Deployment"][0],
            "LeaderWorkerSet" if many else "Deployment",
            meta.name + "-group" if many else meta.name,
        )
        if scaler is not None:
            made = "ScaledObject" if isinstance(scaler, Scaler) else "HorizontalPodAutoscaler"
            yield Item(kind=made, stem=made.lower(), value=scaler)
        yield Item(
            kind="PodMonitor", stem="podmonitor", value=scaling.monitor(model, meta, server.metrics, watch)
        )

    def _job(self, model: ModelPlan, delivery: weights.Delivery, download: Container, *, spot: bool) -> Job:
        part_of = self.plan.spec.name
        return Job(
            meta=naming.meta(
                model,
                self.namespace_name,
                part_of,
                f"-download-{weights.fingerprint(model)}",
                naming.DOWNLOAD,
            ),
            why="fills the volume once; its name changes with what it downloads, because a Job cannot be changed",
            pod=pods.download_pod(model, self.where, part_of, delivery, download, spot=spot),
        )


def renamed(model: ModelPlan, name: str) -> ModelPlan:
    """The same plan for a model of another name."""
    launch = model.launch
    if launch.served_name == model.spec.name:
        launch = msgspec.structs.replace(launch, served_name=name)
    return msgspec.structs.replace(model, spec=msgspec.structs.replace(model.spec, name=name), launch=launch)


def _stem(base: str, meta: Meta, main: Meta) -> str:
    return base + meta.name.removeprefix(main.name)


def _shape(item: Item) -> Shape:
    """Render and validate one object."""
    text = TEMPLATES[KINDS[item.kind][1]](item.value)
    meta: Meta = item.value.meta  # type: ignore[attr-defined]
    value = load(text)
    errors = validate(value)
    if errors:
        raise InvalidDocumentError(item.kind, meta.name, errors)
    return Shape(
        kind=item.kind,
        stem=item.stem,
        name=meta.name,
        namespace=meta.namespace,
        text=text,
        json=msgspec.json.encode(value),
    )


def _document(shape: Shape, model: str | None, name: str | None) -> Document:
    """`name` is what replaces the placeholder (None: there is none)."""
    api_version, _, component = KINDS[shape.kind]
    folder = f"components/{component}" if component else "base"
    text, object_name = shape.text, shape.name
    if name is not None:
        text, object_name = text.replace(PLACEHOLDER, name), object_name.replace(PLACEHOLDER, name)
    return Document(
        path=f"{folder}/{model}/{shape.stem}.yaml" if model else f"{folder}/{shape.stem}.yaml",
        kind=shape.kind,
        api_version=api_version,
        name=object_name,
        namespace=shape.namespace,
        component=component,
        model=model,
        text=text,
        json=shape.json,
        placeholder=None if name is None else PLACEHOLDER,
    )


def _refuse_twins(found: list[Document], plan: Plan) -> None:
    """Raise SpecError where two models make objects of the same kind and name ('a' and 'a-download')."""
    # LeaderWorkerSet's controller makes a Service of its own name.
    seen: dict[tuple[str, str], str | None] = {
        ("Service", d.name): d.model for d in found if d.kind == "LeaderWorkerSet"
    }
    problems = []
    for document in found:
        key = (document.kind, document.name)
        if key in seen and seen[key] != document.model:
            index = next(i for i, m in enumerate(plan.models) if m.spec.name == document.model)
            problems.append(
                Problem(
                    message=f"the {document.kind} '{document.name}' would be made by the models '{seen[key]}' and "
                    f"'{document.model}': rename one",
                    path=("models", index, "name"),
                    value=document.model,
                )
            )
        seen[key] = document.model
    if problems:
        raise SpecError(problems)
