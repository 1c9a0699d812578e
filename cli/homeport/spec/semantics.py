"""What a spec's values must hold together, as far as that can be said without the catalog.

Each check takes one part of a spec and its path; the walker runs the checks of the parts that are whole even where
others are broken, so that a user sees everything at once.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import structs

from homeport.errors import Problem
from homeport.spec.models import (
    Expose,
    ModelSpec,
    Replicas,
    SecretRef,
    Spec,
    Target,
    Weights,
    Workload,
)
from homeport.spec.money import Costs
from homeport.spec.nodes import NODES_FIELDS, Nodes
from homeport.spec.nodes_rules import check_nodes_on
from homeport.spec.policy import Compliance
from homeport.spec.scaling import SCALING_FIELDS, Scaling
from homeport.spec.scaling_rules import check_replicas_scaled
from homeport.spec.source import Path

CLOUDS = ("gke", "eks", "aks")
CPU_ENGINES = ("cpu", "simulator")

# source -> (fields that belong to it, fields that it needs)
WEIGHTS_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "hub": (("revision", "storage_class", "size_gib"), ()),
    "pvc": (("revision", "storage_class", "size_gib"), ()),
    "oci": (("image",), ("image",)),
    "object_store": (("uri", "credentials", "storage_class", "size_gib"), ("uri",)),
    "local": (("path", "nodes", "size_gib"), ("path", "nodes")),
}
EXPOSE_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "none": ((), ()),
    "internal": ((), ()),
    "load_balancer": ((), ()),
    "ingress": (("host", "class_name", "tls_secret"), ("host",)),
    "gateway": (("host", "gateway", "gateway_namespace"), ("host", "gateway")),
}


def check_spec(spec: Spec) -> list[Problem]:
    """Return what contradicts itself in a spec whose fields are all well-formed, in the order of the format."""
    problems = list(check_target(spec.target, ("target",)))
    problems += check_nodes(spec.target.nodes, ("target", "nodes"))
    problems += check_namespace(spec.name, spec.namespace)
    problems += check_compliance(spec.compliance, ("compliance",))
    for index, model in enumerate(spec.models):
        path: Path = ("models", index)
        problems += check_workload(model.workload, (*path, "workload"))
        problems += check_replicas(model.replicas, (*path, "replicas"))
        problems += check_weights(model.weights, (*path, "weights"))
        problems += check_expose(model.expose, (*path, "expose"))
        problems += check_scaling(model.scaling, (*path, "scaling"))
        for name in ("api_key", "hub_token"):
            if (secret := getattr(model, name)) is not None:
                problems += check_secret(secret, (*path, name))
        problems += check_model(model, path)
    problems += check_names([model.name for model in spec.models])
    problems += check_hosts([model.expose for model in spec.models])
    problems += _twice(spec.compare, ("compare",), "API model")
    problems += check_costs(spec.costs, ("costs",))
    return problems


def check_namespace(name: str, namespace: str | None) -> Iterable[Problem]:
    """A namespace of its own: the rendered Namespace admits restricted pods only, and `destroy` removes it.

    In `default` that would hold for everybody's pods, and a model named `kubernetes` would meet the API server's
    Service. Names that begin with kube- are Kubernetes' own (its documentation, "Namespaces").
    """
    chosen = namespace or name
    if chosen != "default" and not chosen.startswith("kube-"):
        return
    whose = "everybody's namespace" if chosen == "default" else "reserved for Kubernetes' own namespaces"
    yield Problem(
        message=f"'{chosen}' is {whose}, and homeport lets only restricted pods run in the one that it writes to"
        if namespace
        else f"'{chosen}' is also the namespace, and it is {whose}",
        path=("namespace",) if namespace else ("name",),
        value=chosen,
        help="name one that is only for these models"
        if namespace
        else "choose another name, or set namespace",
    )


def check_target(target: Target, path: Path) -> Iterable[Problem]:
    """Regions are the clouds', the size of a node and foreign prices are everybody else's."""
    platform = target.platform
    if target.region is not None and platform not in CLOUDS:
        yield Problem(
            message=f"{platform} has no regions",
            path=(*path, "region"),
            value=target.region,
            help=f"remove it, or choose a platform of {', '.join(CLOUDS)}",
        )
    if target.gpus_per_node is not None and platform != "generic":
        why = "it comes with the instance type" if platform in CLOUDS else "its nodes have no GPUs"
        yield Problem(
            message=f"{platform} takes no size of a node: {why}",
            path=(*path, "gpus_per_node"),
            value=target.gpus_per_node,
            help="remove it, or choose the platform 'generic'",
        )
    if target.price_from is not None and platform in CLOUDS:
        yield Problem(
            message=f"{platform} has its own prices",
            path=(*path, "price_from"),
            value=target.price_from,
            help="remove it; `homeport prices list` shows what other clouds ask",
        )
    if target.price_from is not None:
        if not target.price_from:
            yield Problem(
                message="no cloud is named",
                path=(*path, "price_from"),
                value=[],
                help="name one, or leave it out",
            )
        yield from _twice(target.price_from, (*path, "price_from"), "cloud")
    yield from _twice([price.instance_type for price in target.prices], (*path, "prices"), "instance type")
    yield from check_nodes_on(target, path)


def check_nodes(nodes: Nodes, path: Path) -> Iterable[Problem]:
    """Each way to nodes reads its own fields."""
    yield from _belongs(nodes, path, "by", NODES_FIELDS)
    yield from _twice(nodes.zones or (), (*path, "zones"), "zone")


def check_compliance(compliance: Compliance, path: Path) -> Iterable[Problem]:
    """Each zone, region and provider is named once."""
    yield from _twice(compliance.residency, (*path, "residency"), "zone")
    yield from _twice(compliance.allowed_regions, (*path, "allowed_regions"), "region")
    providers = [agreement.provider for agreement in compliance.api_agreements]
    for problem in _twice(providers, (*path, "api_agreements"), "provider"):
        yield structs.replace(problem, path=(*problem.path, "provider"))


def check_workload(workload: Workload, path: Path) -> Iterable[Problem]:
    """The 99th percentile of a request's tokens is not below its mean."""
    mean = workload.input_tokens + workload.output_tokens
    p99 = workload.total_tokens_p99
    if p99 is not None and p99 < mean:
        yield Problem(
            message=f"{_number(p99)} tokens are fewer than an average request has "
            f"({_number(workload.input_tokens)} + {_number(workload.output_tokens)})",
            path=(*path, "total_tokens_p99"),
            value=p99,
            help="it counts input and output together, of the longest request in a hundred",
        )
    if workload.day_profile is not None:
        yield from _check_profile(workload, workload.day_profile, path)


def _check_profile(workload: Workload, profile: Sequence[float], path: Path) -> Iterable[Problem]:
    if not sum(profile):
        yield Problem(
            message="a day without a request",
            path=(*path, "day_profile"),
            value=profile,
            help="give each hour its number of requests, from midnight, in any unit",
        )
        return
    busiest = max(profile) / (sum(profile) / len(profile))
    if workload.peak_to_mean is not None and workload.peak_to_mean < busiest * (1 - 1e-6):
        yield Problem(
            message=f"{_number(workload.peak_to_mean)} is less than the day profile's busiest hour, "
            f"{busiest:.2f} times the mean",
            path=(*path, "peak_to_mean"),
            value=workload.peak_to_mean,
            help="leave it out, or give the busiest second's",
        )


def check_costs(costs: Costs, path: Path) -> Iterable[Problem]:
    """GPUs are bought or rented, and what runs is stated or simulated: not both."""
    for name in ("gpu_usd_per_hour", "reserved"):
        if costs.hardware is not None and getattr(costs, name) is not None:
            yield Problem(
                message="this is a price of rented GPUs, and hardware says that they are bought",
                path=(*path, name),
                value=getattr(costs, name),
                help="remove one of them",
            )
    if costs.scaled_share is not None and costs.replica_hours is not None:
        yield Problem(
            message=f"the share is stated, and replica_hours says {costs.replica_hours}",
            path=(*path, "scaled_share"),
            value=costs.scaled_share,
            help="remove one of them",
        )
    yield from _twice([price.model for price in costs.api_prices], (*path, "api_prices"), "API model")


def check_replicas(replicas: Replicas, path: Path) -> Iterable[Problem]:
    """The least is not more than the most."""
    if replicas.min is not None and replicas.max is not None and replicas.min > replicas.max:
        yield Problem(
            message=f"{replicas.min} is more than max, which is {replicas.max}",
            path=(*path, "min"),
            value=replicas.min,
            help=f"min is at most max; did you mean min: {replicas.max}, max: {replicas.min}?",
        )


def check_weights(weights: Weights, path: Path) -> Iterable[Problem]:
    """Each source of weights has its own fields, and some that it needs."""
    yield from _belongs(weights, path, "source", WEIGHTS_FIELDS)
    if weights.source == "local" and weights.path is not None and ".." in weights.path.split("/"):
        yield Problem(
            message=f"'{weights.path}' holds '..', which Kubernetes refuses in a local volume's path",
            path=(*path, "path"),
            value=weights.path,
            help="write the path without it",
        )
    if weights.nodes is not None and not weights.nodes:
        yield Problem(
            message="no node is named",
            path=(*path, "nodes"),
            value=[],
            help="`kubectl get nodes` lists their names",
        )
    yield from _twice(weights.nodes or (), (*path, "nodes"), "node")


def check_expose(expose: Expose, path: Path) -> Iterable[Problem]:
    """Each kind of exposure has its own fields, and some that it needs; a host is a name.

    An Ingress and an HTTPRoute may hold no address, and a host whose last part is a number is read as one (URL
    Standard, "ends in a number checker").
    """
    yield from _belongs(expose, path, "kind", EXPOSE_FIELDS)
    host = expose.host
    if expose.kind in ("ingress", "gateway") and host is not None and host.rpartition(".")[2].isdecimal():
        yield Problem(
            message=f"'{host}' is read as an address, and the {expose.kind} needs a host name",
            path=(*path, "host"),
            value=host,
            help="a name that DNS leads there, such as llm.example.com; load_balancer needs none",
        )


def check_secret(secret: SecretRef, path: Path) -> Iterable[Problem]:
    """A key of a Secret becomes a file's name: Kubernetes takes none that begins with '..', and not '.'."""
    if secret.key == "." or secret.key.startswith(".."):
        yield Problem(
            message=f"'{secret.key}' cannot be a key of a Secret: it reads as a folder",
            path=(*path, "key"),
            value=secret.key,
            help="`kubectl describe secret NAME` lists the keys of one",
        )


def check_model(model: ModelSpec, path: Path) -> Iterable[Problem]:
    """The fields of one model against each other."""
    workload = model.workload
    mean = workload.input_tokens + workload.output_tokens
    if model.max_model_len is not None and model.max_model_len < mean:
        yield Problem(
            message=f"{model.max_model_len} tokens do not hold an average request "
            f"({_number(workload.input_tokens)} + {_number(workload.output_tokens)})",
            path=(*path, "max_model_len"),
            value=model.max_model_len,
            help="leave it out: the workload says what is needed",
        )
    if (
        model.max_num_seqs is not None
        and model.max_num_batched_tokens is not None
        and model.max_num_batched_tokens < model.max_num_seqs
    ):
        yield Problem(
            message=f"{model.max_num_batched_tokens} tokens a step are fewer than max_num_seqs "
            f"({model.max_num_seqs}), and each running request needs one",
            path=(*path, "max_num_batched_tokens"),
            value=model.max_num_batched_tokens,
            help="raise it, or lower max_num_seqs",
        )
    if model.checkpoint is not None and model.precision in ("bf16", "fp16"):
        yield Problem(
            message=f"{model.precision} contradicts checkpoint, which names a quantised one",
            path=(*path, "precision"),
            value=model.precision,
            help="leave precision out: the checkpoint says it; or leave checkpoint out",
        )
    if model.engine in CPU_ENGINES:
        for name in ("gpu", "gpu_memory_utilization"):
            if getattr(model, name) is not None:
                yield Problem(
                    message=f"the engine {model.engine} uses no GPU",
                    path=(*path, name),
                    value=getattr(model, name),
                    help="remove it, or choose another engine",
                )
    yield from check_replicas_scaled(model, path)
    yield from _check_adapters(model, path)


def check_scaling(scaling: Scaling, path: Path) -> Iterable[Problem]:
    """Each scaler reads its own fields."""
    return _belongs(scaling, path, "by", SCALING_FIELDS)


def _check_adapters(model: ModelSpec, path: Path) -> Iterable[Problem]:
    seen: dict[str, int] = {}
    for index, adapter in enumerate(model.adapters):
        where = (*path, "adapters", index, "name")
        if adapter.name == model.name:
            yield Problem(
                message=f"'{adapter.name}' is the model's own name",
                path=where,
                value=adapter.name,
                help="requests choose between the model and its adapters by name: give each its own",
            )
        elif adapter.name in seen:
            yield Problem(
                message=f"'{adapter.name}' is also the name of adapters[{seen[adapter.name]}]",
                path=where,
                value=adapter.name,
                help="requests choose an adapter by name: give each its own",
            )
        seen.setdefault(adapter.name, index)


def check_names(names: Sequence[Any]) -> Iterable[Problem]:
    """Each model has a name of its own (what is no text is somebody else's error)."""
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not isinstance(name, str):
            continue
        if name in seen:
            yield Problem(
                message=f"'{name}' is also the name of models[{seen[name]}]",
                path=("models", index, "name"),
                value=name,
                help="the names of the Deployments and Services come from it: give each model its own",
            )
        seen.setdefault(name, index)


def check_hosts(exposes: Sequence[Expose]) -> Iterable[Problem]:
    """No two models answer the same paths of one host."""
    seen: dict[str, int] = {}
    for index, expose in enumerate(exposes):
        if expose.host is None:
            continue
        if expose.host in seen:
            yield Problem(
                message=f"'{expose.host}' is also the host of models[{seen[expose.host]}], and both answer /v1",
                path=("models", index, "expose", "host"),
                value=expose.host,
                help="give each model a host of its own",
            )
        seen.setdefault(expose.host, index)


def _belongs(
    part: Any, path: Path, choice: str, fields: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
) -> Iterable[Problem]:
    chosen = getattr(part, choice)
    allowed, needed = fields[chosen]
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if name == choice or value is None or name in allowed:
            continue
        owners = [owner for owner, (names, _) in fields.items() if name in names]
        yield Problem(
            message=f"this belongs to {choice} {_either(owners)}, and {choice} is {chosen}",
            path=(*path, name),
            value=value,
            help=f"remove it, or write {choice}: {owners[0]}",
        )
    for name in needed:
        if getattr(part, name) is None:
            yield Problem(
                message=f"missing: {choice} {chosen} needs it",
                path=(*path, name),
                help=description(type(part), name),
            )


def description(struct: type, name: str) -> str:
    """Return the description of a Struct's field."""
    from typing import get_type_hints

    hint = get_type_hints(struct, include_extras=True)[name]
    return next((meta.description for meta in hint.__metadata__ if meta.description), name)


def _twice(values: Sequence[str], path: Path, what: str) -> Iterable[Problem]:
    for index, value in enumerate(values):
        if value in values[:index]:
            yield Problem(
                message=f"the {what} '{value}' stands twice",
                path=(*path, index),
                value=value,
                help="remove one of them",
            )


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _number(value: float) -> str:
    return f"{value:.15g}"


# what the walker runs on each part that is whole
PART_CHECKS: dict[type, Callable[[Any, Path], Iterable[Problem]]] = {
    Target: check_target,
    Nodes: check_nodes,
    Compliance: check_compliance,
    Workload: check_workload,
    Replicas: check_replicas,
    Weights: check_weights,
    Expose: check_expose,
    Scaling: check_scaling,
    SecretRef: check_secret,
    ModelSpec: check_model,
    Costs: check_costs,
}
