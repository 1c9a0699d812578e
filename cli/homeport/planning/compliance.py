"""What a spec's compliance section forbids, and where it lets a deployment be.

The one place that enforces it: planning refuses a spec that contradicts itself, and the advice asks the same
functions which APIs are barred and why.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from homeport.catalog.regimes import Regime, regimes
from homeport.catalog.types import Region
from homeport.catalog.zones import Bounds, countries, is_part_of
from homeport.errors import HomeportError, NotFoundError, Problem
from homeport.planning.hardware import DEFAULT_REGION, cloud_of
from homeport.planning.types import Decision
from homeport.spec.models import ModelSpec, Spec
from homeport.spec.policy import ApiAgreement, Compliance
from homeport.text import nearest

Path = tuple[str | int, ...]
HERE: Path = ("compliance",)
OUTSIDE = ("load_balancer", "ingress", "gateway")
LOGS_TEXTS = ("--enable-log-requests", "--enable-log-outputs", "--log-requests")
"""Flags of vLLM and SGLang that write prompts or answers into the log (their releases' argument parsers)."""
GOVERNMENT_ONLY = ("eks", "aks")
"""Platforms whose impact level 5 lies in regions of their own; Google's lies in Assured Workloads, in any US region."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Why data may not go to a provider's API: what is lacking, the rule behind it, and what would close it.

    `term` is what an agreement would have to say (None: nothing could close it). `source` and `as_of` are the rule's.
    """

    lacks: str
    because: str
    source: str
    as_of: str | None
    term: str | None


def regime_of(spec: Spec) -> Regime | None:
    """The regime that a spec is under, if it names one."""
    return regimes()[spec.compliance.regime] if spec.compliance.regime else None


def bounds_of(spec: Spec) -> Bounds:
    """Where the deployment may be: the residency of the spec, that of its regime, and the allowed regions."""
    regime = regime_of(spec)
    zones = tuple(z for z in (spec.compliance.residency, regime.residency if regime else ()) if z)
    return Bounds(zones=zones, regions=spec.compliance.allowed_regions)


def placed(spec: Spec) -> tuple[Spec, Decision | None]:
    """Give a spec without a region, whose platform's default region is forbidden, the nearest one that is allowed.

    Where none is allowed, the spec comes back as it is, and `contradictions` says why.
    """
    bounds, cloud = bounds_of(spec), cloud_of(spec.target)
    if not bounds or cloud is None or spec.target.region is not None or malformed(spec):
        return spec, None
    from homeport.catalog.regions import distance_km, regions

    known = regions(cloud)
    default = known[DEFAULT_REGION[cloud]]
    allowed = [region for region in known.values() if bounds.allows(region)]
    if not allowed or bounds.allows(default):
        return spec, None
    priced = _priced_regions(cloud)
    chosen = min(allowed, key=lambda r: (r.region not in priced, distance_km(r, default), r.region)).region
    target = msgspec.structs.replace(spec.target, region=chosen)
    why = (
        f"the region inside {bounds} with prices that is nearest to {default.region}, the default of "
        f"{spec.target.platform}, which is outside"
    )
    return msgspec.structs.replace(spec, target=target), Decision(
        field="target.region", value=chosen, because=why
    )


def _priced_regions(cloud: str) -> set[str | None]:
    from homeport.catalog.prices import instances

    return {row.region for row in instances(cloud)}


def contradictions(spec: Spec) -> list[Problem]:
    """Everything in a spec that its compliance section forbids, in the order of the file's parts."""
    if spec.compliance == Compliance():
        return []
    if problems := malformed(spec):
        return problems
    return [*_region_problems(spec), *_model_problems(spec), *_api_problems(spec)]


def cautions(spec: Spec) -> Iterator[str]:
    """What the rules ask for that nothing in a spec can show, so that it stays the user's."""
    bounds, regime, platform = bounds_of(spec), regime_of(spec), spec.target.platform
    if bounds and cloud_of(spec.target) is None:
        yield f"nothing says where a {platform} cluster stands: keeping it inside {bounds} is yours"
    if regime and platform == "gke" and any(n.control == "government_region" for n in regime.own_needs):
        yield f"{regime.id} on gke needs an Assured Workloads folder at impact level 5: having it is yours"
    stock = [model.name for model in spec.models if model.image is None]
    if spec.compliance.air_gapped and stock:
        yield (
            f"air_gapped: {', '.join(stock)} runs the engine's public image: mirror it, and name yours in image unless "
            "the nodes' registry mirror finds it"
        )


def malformed(spec: Spec) -> list[Problem]:
    """Names that mean nothing: zones, regions and providers that do not exist."""
    rules = spec.compliance
    problems: list[Problem] = []
    zoned: list[tuple[Path, tuple[str, ...]]] = [((*HERE, "residency"), rules.residency)]
    zoned += [
        ((*HERE, "api_agreements", i, "residency"), agreement.residency)
        for i, agreement in enumerate(rules.api_agreements)
    ]
    for path, names in zoned:
        for i, name in enumerate(names):
            try:
                countries(name)
            except NotFoundError as error:
                problems.append(Problem(message=str(error), path=(*path, i), value=name, help=error.help))
    problems += _unknown(rules.allowed_regions, _all_regions, (*HERE, "allowed_regions"), "region")
    for i, agreement in enumerate(rules.api_agreements):
        path = (*HERE, "api_agreements", i, "provider")
        for problem in _unknown((agreement.provider,), lambda: _providers(spec), path, "provider of APIs"):
            problems.append(msgspec.structs.replace(problem, path=path))
    return problems


def _unknown(
    names: tuple[str, ...], known: Callable[[], set[str]], path: Path, what: str
) -> Iterator[Problem]:
    for i, name in enumerate(names):
        if name not in known():
            close = nearest(name, sorted(known()))
            yield Problem(
                message=f"no {what} '{name}'",
                path=(*path, i),
                value=name,
                help=f"did you mean {' or '.join(close)}?"
                if close
                else f"one of {', '.join(sorted(known()))}",
            )


def _all_regions() -> set[str]:
    from homeport.catalog.regions import regions

    return {name for cloud in DEFAULT_REGION for name in regions(cloud)}


def _providers(spec: Spec) -> set[str]:
    """The providers of the price table, and those of models that the spec prices itself."""
    from homeport.catalog.prices import api_prices

    own = {given.model.partition("/")[0] for given in spec.costs.api_prices}
    return own | {price.provider for price in api_prices()}


def _region_problems(spec: Spec) -> Iterator[Problem]:
    from homeport.catalog.regions import regions

    bounds, cloud, target = bounds_of(spec), cloud_of(spec.target), spec.target
    if not bounds:
        return
    for i, name in enumerate(bounds.regions):
        rows = [regions(c)[name] for c in DEFAULT_REGION if name in regions(c)]
        if not any(bounds.holds(row) for row in rows):
            yield Problem(
                message=f"{name} ({rows[0].country}) lies outside {bounds}",
                path=(*HERE, "allowed_regions", i),
                value=name,
                help="allowed_regions narrows the residency, it does not widen it",
            )
    if cloud is None:
        return
    inside = [row for row in regions(cloud).values() if bounds.allows(row)]
    names = ", ".join(sorted(row.region for row in inside)[:8])
    where = regions(cloud).get(target.region or DEFAULT_REGION[cloud])
    if where is None or bounds.allows(where):
        return  # a region that does not exist is told where it is looked up
    if target.region is None:
        yield Problem(
            message=f"{target.platform} has no region inside {_inside(bounds)}",
            path=("target", "platform"),
            value=target.platform,
            help="another platform may have one",
        )
        return
    yield Problem(
        message=f"{where.region} ({where.country}) lies outside {_inside(bounds)}{_by(spec)}",
        path=("target", "region"),
        value=target.region,
        help=f"one of {names}" if names else f"{target.platform} has no region inside",
    )


def _inside(bounds: Bounds) -> str:
    """Name the bounds with the rules that set them."""
    parts = [f"the residency {bounds}"] if bounds.zones else []
    parts += [f"the allowed regions {', '.join(bounds.regions)}"] if bounds.regions else []
    return " and ".join(parts)


def _by(spec: Spec) -> str:
    regime = regime_of(spec)
    return f" (regime {regime.id})" if regime and regime.residency else ""


def _model_problems(spec: Spec) -> Iterator[Problem]:
    regime = regime_of(spec)
    needed = [need.control for need in regime.own_needs] if regime else []
    reasons = {need.control: need.because for need in regime.own_needs} if regime else {}
    if "government_region" in needed:
        yield from _government(spec, reasons["government_region"])
    for i, model in enumerate(spec.models):
        path: Path = ("models", i)
        for control, check in MODEL_CHECKS.items():
            if control in needed:
                yield from check(model, path, reasons[control])
        if spec.compliance.air_gapped:
            yield from _air_gap(model, path)


def _government(spec: Spec, because: str) -> Iterator[Problem]:
    from homeport.catalog.regions import regions
    from homeport.catalog.zones import lies_in, zones

    cloud, platform = cloud_of(spec.target), spec.target.platform
    if cloud is None or platform not in GOVERNMENT_ONLY:
        return
    name = spec.target.region or DEFAULT_REGION[cloud]
    where: Region | None = regions(cloud).get(name)
    if where is not None and not lies_in(where, "us-gov"):
        government = (zones()["us-gov"].regions or {}).get(cloud, ())
        yield Problem(
            message=f"{name} is no government region; {because}",
            path=("target", "region") if spec.target.region else ("target", "platform"),
            value=spec.target.region or platform,
            help=f"region: {' or '.join(government)}",
        )


def _encrypted(model: ModelSpec, path: Path, because: str) -> Iterator[Problem]:
    if model.expose.kind == "load_balancer":
        yield Problem(
            message=f"a load balancer carries plain HTTP, and requests must be encrypted; {because}",
            path=(*path, "expose", "kind"),
            value=model.expose.kind,
            help="expose: {kind: ingress, host: …, tls_secret: …}, or kind: gateway with TLS at its listener",
        )
    elif model.expose.kind == "ingress" and model.expose.tls_secret is None:
        yield Problem(
            message=f"an ingress without a certificate carries plain HTTP, and requests must be encrypted; {because}",
            path=(*path, "expose"),
            help="tls_secret: the name of a Secret with the certificate",
        )


def _guarded(model: ModelSpec, path: Path, because: str) -> Iterator[Problem]:
    if model.expose.kind in OUTSIDE and model.api_key is None:
        yield Problem(
            message=f"anybody who reaches the {model.expose.kind.replace('_', ' ')} could use it; {because}",
            path=(*path, "expose", "kind"),
            value=model.expose.kind,
            help="api_key: {secret: …, key: …}",
        )


def _unlogged(model: ModelSpec, path: Path, because: str) -> Iterator[Problem]:
    for i, argument in enumerate(model.extra_args):
        if argument.partition("=")[0] in LOGS_TEXTS and not argument.lower().endswith("=false"):
            yield Problem(
                message=f"{argument} writes the texts of requests into the log; {because}",
                path=(*path, "extra_args", i),
                value=argument,
                help="remove it; the access log has the requests without their texts",
            )


# Controls of a regime that a model's own fields can contradict. The others are rendered always, or the user's.
MODEL_CHECKS: dict[str, Callable[[ModelSpec, Path, str], Iterable[Problem]]] = {
    "encryption_in_transit": _encrypted,
    "access_control": _guarded,
    "retention": _unlogged,
}


def _air_gap(model: ModelSpec, path: Path) -> Iterator[Problem]:
    inside = "source: oci (an image in your own registry), local, or object_store on a store of your own"
    weights = model.weights
    outside = {
        "hub": "the pods download the weights from the Hub",
        "pvc": "a Job downloads the weights from the Hub",
    }.get(weights.source)
    if weights.source == "object_store" and (weights.uri or "").startswith("gs:"):
        outside = "Google Cloud Storage lies outside of an air gap"
    elif weights.source == "object_store" and weights.credentials is None:
        outside = "without credentials of a store of your own, s3:// is Amazon's"
    if outside:
        yield Problem(
            message=f"air_gapped: {outside}",
            path=(*path, "weights", "source"),
            value=weights.source,
            help=inside,
        )
    for i, adapter in enumerate(model.adapters):
        if not adapter.source.startswith("/"):
            yield Problem(
                message="air_gapped: this adapter is downloaded from the Hub",
                path=(*path, "adapters", i, "source"),
                value=adapter.source,
                help="a path under the weights' volume, such as /adapters/mine",
            )
    if model.expose.kind == "load_balancer":
        yield Problem(
            message="air_gapped: a load balancer is a way in from outside",
            path=(*path, "expose", "kind"),
            value=model.expose.kind,
            help="expose: {kind: internal}, or an ingress of your own network",
        )


def _api_problems(spec: Spec) -> Iterator[Problem]:
    """One problem for each compared API that the data may not go to."""
    from homeport.catalog.prices import api_id

    own = {given.model for given in spec.costs.api_prices}
    for i, name in enumerate(spec.compare):
        path: Path = ("compare", i)
        try:
            found = name if name in own else api_id(name)
        except HomeportError as error:
            yield Problem(message=str(error), path=path, value=name)
            continue
        provider = found.partition("/")[0]
        gaps = api_gaps(spec, provider)
        if not gaps:
            continue
        regime = regime_of(spec)
        data = regime.data if regime else "data"
        barred = "; ".join(gap.lacks for gap in gaps)
        why = barred if spec.compliance.air_gapped else f"not declared of {provider}: {barred}"
        under = f" ({regime.id})" if regime else ""
        yield Problem(
            message=f"{data}{under} may not go to {found}: {why}",
            path=path,
            value=name,
            help=_closing(provider, gaps),
        )


def _closing(provider: str, gaps: tuple[Gap, ...]) -> str:
    """Say what would let data go to a provider, once it is so."""
    if any(gap.term is None for gap in gaps):
        return "take it out of compare"
    said = ", ".join(gap.term for gap in gaps if gap.term)
    return f"once it is agreed: compliance.api_agreements: [{{provider: {provider}, {said}}}]; else take it out of compare"


def api_gaps(spec: Spec, provider: str) -> tuple[Gap, ...]:
    """Everything that bars the spec's data from a provider's APIs; empty where they may be used."""
    return tuple(_gaps(spec, provider))


def _gaps(spec: Spec, provider: str) -> Iterator[Gap]:
    if spec.compliance.air_gapped:
        yield Gap(
            lacks="no API can be reached from an air gap",
            because="compliance.air_gapped",
            source="guide 'Open Source vs Closed Models', table of privacy",
            as_of="2026-04",
            term=None,
        )
        return
    agreed = agreement_with(spec, provider)
    regime = regime_of(spec)
    if regime:
        for need in regime.api_needs:
            if not getattr(agreed, need.term):
                yield Gap(
                    lacks=need.says,
                    because=need.because,
                    source=regime.source,
                    as_of=regime.as_of,
                    term=f"{need.term}: true",
                )
    if not spec.compliance.residency:
        return
    wanted = spec.compliance.residency
    outside = [zone for zone in agreed.residency if not any(is_part_of(zone, other) for other in wanted)]
    if outside or not agreed.residency:
        where = " or ".join(wanted)
        elsewhere = f" (declared: {', '.join(agreed.residency)})" if outside else ""
        yield Gap(
            lacks=f"residency in {where}{elsewhere}",
            because=f"compliance.residency: {where}",
            source="the spec",
            as_of=None,
            term=f"residency: [{wanted[0]}]",
        )


def agreement_with(spec: Spec, provider: str) -> ApiAgreement:
    """What is declared about a provider; nothing is, where the spec does not name it."""
    return next(
        (a for a in spec.compliance.api_agreements if a.provider == provider), ApiAgreement(provider=provider)
    )
