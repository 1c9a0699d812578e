"""Who may reach a model's pods, what they may reach, and the way in from outside."""

from homeport.errors import Problem, SpecError
from homeport.manifests import naming
from homeport.manifests.pods import HTTP
from homeport.manifests.targets import Platform
from homeport.manifests.values import Meta, Policy, Route, Rule, Service
from homeport.manifests.weights import Delivery
from homeport.planning.types import ModelPlan
from homeport.spec.models import Observability

EVERYWHERE = ("0.0.0.0/0", "::/0")
DNS = Rule(
    why="names; anywhere, because node-local caches answer outside of kube-system",
    ports=(("UDP", 53), ("TCP", 53)),
)


def service(plan: ModelPlan, meta: Meta, where: Platform) -> Service:
    """The Service in front of all replicas."""
    public = plan.spec.expose.kind == "load_balancer"
    return Service(
        meta=meta,
        annotations=where.service_annotations if public else {},
        selector=naming.selector(plan),
        type="LoadBalancer" if public else None,
        why=_service_why(plan),
    )


def _service_why(plan: ModelPlan) -> str:
    namespace_url = f"http://{plan.spec.name}/v1"
    if plan.spec.expose.kind == "load_balancer" and plan.spec.api_key is None:
        return f"{namespace_url} inside the namespace; anybody outside who finds the address may use it: set api_key"
    return f"{namespace_url} inside the namespace"


def policies(
    plan: ModelPlan, meta: Meta, where: Platform, watch: Observability, delivery: Delivery
) -> list[Policy]:
    """The NetworkPolicies of a model: its servers, and the Job that downloads its weights."""
    ports: tuple[tuple[str, int | str], ...] = (("TCP", HTTP),)
    ingress = [_clients(plan, where, ports)]
    if ingress[0].same_namespace:  # the other rules let Prometheus in already
        ingress.append(
            Rule(why="Prometheus reads the metrics", namespace=watch.prometheus_namespace, ports=ports)
        )
    egress = [DNS]
    if plan.nodes_per_replica > 1:
        replica = {naming.INSTANCE: plan.spec.name}
        together = "the nodes of one replica talk on ports of their own choice"
        ingress.append(Rule(why=together, pods=replica))
        egress.append(Rule(why=together, pods=replica))
    if delivery.fetches_in_pod:
        egress.append(fetch_rule("the weights come from outside the cluster"))
        if delivery.needs_identity:
            egress += identity_rules(where)
    found = [
        Policy(
            meta=meta,
            selector=naming.selector(plan)
            if plan.nodes_per_replica == 1
            else {naming.INSTANCE: plan.spec.name},
            ingress=tuple(ingress),
            egress=tuple(egress),
        )
    ]
    if delivery.download is not None:
        found.append(
            Policy(
                meta=Meta(name=meta.name + "-download", namespace=meta.namespace, labels=meta.labels),
                selector=naming.selector(plan, naming.DOWNLOAD),
                ingress=(),
                egress=(DNS, fetch_rule("the weights come from the Hub")),
                no_ingress_why="nobody talks to a download",
            )
        )
    return found


def fetch_rule(why: str) -> Rule:
    """Egress to HTTPS servers anywhere."""
    return Rule(why=why, blocks=EVERYWHERE, ports=(("TCP", 443),))


def identity_rules(where: Platform) -> list[Rule]:
    """Egress to the addresses that hand out the cloud's credentials."""
    return [
        Rule(why="the cloud's credentials of this pod", blocks=(block,), ports=(("TCP", port),))
        for block, port in where.identity
    ]


def _clients(plan: ModelPlan, where: Platform, ports: tuple[tuple[str, int | str], ...]) -> Rule:
    kind = plan.spec.expose.kind
    if kind == "none":
        return Rule(why="only pods of this namespace are clients", same_namespace=True, ports=ports)
    if kind == "load_balancer" or (kind in ("ingress", "gateway") and where.outside and not _nginx(plan)):
        return Rule(
            why="the load balancer's addresses lie outside the cluster, so anyone may reach this port",
            ports=ports,
        )
    reason = "the whole cluster are clients" if kind == "internal" else "the proxy may run in any namespace"
    return Rule(why=f"{reason}; metrics are on the same port", any_namespace=True, ports=ports)


def _nginx(plan: ModelPlan) -> bool:
    """Say whether the way in is an nginx that runs in the cluster."""
    return plan.spec.expose.class_name is not None and "nginx" in plan.spec.expose.class_name


def route_notes(plan: ModelPlan, where: Platform) -> tuple[str, ...]:
    """What to know about the platform's own way in; an nginx in the cluster has its settings as annotations."""
    if plan.spec.expose.kind not in ("ingress", "gateway") or where.route_note is None or _nginx(plan):
        return ()
    return (where.route_note,)


def route(plan: ModelPlan, meta: Meta, where: Platform) -> Route | None:
    """The Ingress or HTTPRoute, where the spec asks for one.

    Raises SpecError where it lacks what that needs.
    """
    expose = plan.spec.expose
    notes = route_notes(plan, where)
    if expose.kind == "ingress":
        return Route(
            meta=meta,
            service=plan.spec.name,
            host=expose.host,
            class_name=expose.class_name,
            tls_secret=expose.tls_secret,
            # nginx ends a request that is silent for 60 s, and collects a stream before it passes it on.
            annotations={
                "nginx.ingress.kubernetes.io/proxy-buffering": "off",
                "nginx.ingress.kubernetes.io/proxy-read-timeout": "600",
            }
            if _nginx(plan)
            else {},
            notes=notes,
        )
    if expose.kind == "gateway":
        if expose.gateway is None:
            raise SpecError(
                [Problem(message="an HTTPRoute needs the name of its Gateway", path=("expose", "gateway"))]
            )
        return Route(
            meta=meta,
            service=plan.spec.name,
            host=expose.host,
            gateway=expose.gateway,
            gateway_namespace=expose.gateway_namespace,
            notes=notes,
        )
    return None
