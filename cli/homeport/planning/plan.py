"""From a spec to a plan: every model sized, placed and priced, or all the reasons why not."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.catalog.zones import Bounds
from homeport.engines import registry
from homeport.engines.types import Release
from homeport.errors import NotFoundError, Problem, SpecError
from homeport.planning import compliance, local, precision
from homeport.planning.candidates import Question, candidates, stages
from homeport.planning.choose import Choice, Verdict, choose, considered
from homeport.planning.decide import STORAGE, decide
from homeport.planning.failures import nothing_works
from homeport.planning.fallbacks import fallbacks, with_fallbacks
from homeport.planning.hardware import Offer, cloud_of, offers, region_of
from homeport.planning.pools import pools
from homeport.planning.precision import Precision
from homeport.planning.scaling import scaling
from homeport.planning.sources import Sources, at
from homeport.planning.types import Decision, ModelPlan, ModelSource, Plan
from homeport.planning.workload import max_model_len, peak_requests_per_s
from homeport.spec.models import ModelSpec, Spec, Target

if TYPE_CHECKING:
    from homeport.planning.feedback import Evidence

Path_ = tuple[str | int, ...]


def plan(spec: Spec, *, base_dir: Path, explore: bool = False) -> Plan:
    """Plan a whole spec. `explore` also lists every option that was not taken, with the reason.

    Raises SpecError with the problems of all models, in their order.
    """
    return Planner(base_dir, explore=explore).plan(spec)


class Planner:
    """Plans specs of one run; models and decisions that come up again are not worked out again."""

    def __init__(self, base_dir: Path, *, explore: bool = False, enforce: bool = True) -> None:
        """`base_dir` is where relative paths of the spec start.

        `enforce` false plans what the spec's compliance section forbids too: what stands must be removable.
        """
        self.explore = explore
        self.enforce = enforce
        self.sources = Sources(base_dir)
        self._evidence: dict[str, Evidence] = {}
        self._chosen: dict[tuple[ModelSpec, Target, Bounds, str | None], tuple[ModelPlan, Path_]] = {}

    def plan(self, spec: Spec) -> Plan:
        """Plan a whole spec; raises SpecError with what its compliance section forbids, else with all models' problems."""
        spec, region = compliance.placed(spec)
        problems = compliance.contradictions(spec) if self.enforce else []
        if problems:
            raise SpecError(problems)
        try:
            offers(spec.target, compliance.bounds_of(spec))
        except NotFoundError as error:
            raise at(error, ("target", "region"), spec.target.region) from error
        self._read_measurements(spec)
        plans: list[ModelPlan] = []
        for index, model in enumerate(spec.models):
            try:
                plans.append(self._model(spec, model, ("models", index)))
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(problems)
        if region is not None:
            plans = [msgspec.structs.replace(p, decisions=(region, *p.decisions)) for p in plans]
        return Plan(
            spec=spec,
            models=tuple(plans),
            pools=pools(spec.target, plans),
            warnings=tuple(compliance.cautions(spec)),
        )

    def _read_measurements(self, spec: Spec) -> None:
        """Read the spec's file of measurements, once. Raises SpecError with what is wrong in it."""
        if spec.measurements is not None and spec.measurements not in self._evidence:
            from homeport.planning.feedback import Evidence

            self._evidence[spec.measurements] = Evidence(spec.measurements, self.sources.base_dir)

    def _model(self, spec: Spec, model: ModelSpec, path: Path_) -> ModelPlan:
        # Models of a fleet that differ in their name only are decided once; the name is put in afterwards.
        anyone = msgspec.structs.replace(model, name="model")
        key = anyone, spec.target, compliance.bounds_of(spec), spec.measurements
        if key not in self._chosen:
            self._chosen[key] = self._decide(spec, model, path), path
        made, _ = self._chosen[key]
        launch = msgspec.structs.replace(made.launch, served_name=model.name)
        return msgspec.structs.replace(made, spec=model, launch=launch)

    def _decide(self, spec: Spec, model: ModelSpec, path: Path_) -> ModelPlan:
        source = self.sources.find(model, path)
        context, decision, problem = max_model_len(model, source.context_tokens, path)
        problems = [problem] if problem else []
        wanted = model.precision or "auto"
        if (
            bad := precision.check(wanted, source.architecture, source.checkpoint, (*path, "precision"))
        ) is not None:
            problems.append(bad)
        name, by_default = local.engine_name(spec.target, model, source)
        release = self._release(name, model, path, problems)
        decisions = [d for d in (decision, by_default) if d is not None]
        if release is not None:
            problems += [
                msgspec.structs.replace(p, path=(*path, *(p.path or ("extra_args",))))
                for p in registry.check_args(release, model.extra_args)
            ]
        if problems or release is None:
            raise SpecError(problems)
        if release.engine == "cpu":
            made = local.on_cpu(model, source, release, context, decisions)
        elif release.engine == "simulator":
            real = self._real_model(spec, model, path)
            made = local.simulated(model, source, release, context, decisions, real)
        else:
            made = self._on_gpus(spec, model, source, release, context, decisions, path)
        try:
            scaling(made)
        except SpecError as error:
            raise SpecError(
                [msgspec.structs.replace(p, path=(*path, *p.path)) for p in error.problems]
            ) from None
        notes = registry.arg_notes(release, model.extra_args)
        unknown = None if source.origin == "catalog" else registry.unknown_type(release, source.config)
        if notes or unknown:
            more = (*notes, *((unknown,) if unknown else ()))
            made = msgspec.structs.replace(made, warnings=(*made.warnings, *more))
        return made

    def _real_model(self, spec: Spec, model: ModelSpec, path: Path_) -> ModelPlan | None:
        """What the simulator stands in for: the same model on vLLM and real GPUs; None where nothing would work."""
        target = spec.target if cloud_of(spec.target) else Target(platform="generic")
        real = msgspec.structs.replace(model, engine="vllm", engine_version=None, image=None, extra_args=())
        try:
            return self._model(msgspec.structs.replace(spec, target=target), real, path)
        except SpecError:
            return None

    def _release(self, name: str, model: ModelSpec, path: Path_, problems: list[Problem]) -> Release | None:
        try:
            return registry.release(name, model.engine_version)
        except NotFoundError as error:
            problems += at(error, (*path, "engine_version"), model.engine_version).problems
            return None

    def _on_gpus(
        self,
        spec: Spec,
        model: ModelSpec,
        source: ModelSource,
        release: Release,
        context: int,
        decisions: list[Decision],
        path: Path_,
    ) -> ModelPlan:
        offered = _offers_for(spec, model, path)
        wanted = model.precision or "auto"
        served: dict[str, tuple[Offer, ...]] = {}
        refusals: dict[str, str] = {}
        precisions: dict[str, list[tuple[Precision, bool]]] = {}
        for gpu_id, rows in offered.items():
            card = rows[0].gpu
            chosen = precision.asked(wanted, source.architecture, card)
            reason = registry.unsupported(release, source.architecture, card, chosen.label)
            if reason is not None:
                refusals[gpu_id] = reason
                continue
            served[gpu_id] = rows
            precisions[gpu_id] = [(chosen, False)]
            if self.explore and model.precision is None and source.architecture.quantization is None:
                for label in precision.ON_LOAD:
                    if registry.unsupported(release, source.architecture, card, label) is None:
                        precisions[gpu_id].append((precision.asked(label, source.architecture, card), True))
        question = Question(
            spec=model,
            architecture=source.architecture,
            release=release,
            max_model_len=context,
            kv_cache_dtype=model.kv_cache_dtype or "auto",
            peak_requests_per_s=peak_requests_per_s(model),
            offers=served,
            wanted_precision=wanted,
            explore=self.explore,
        )
        evidence = self._evidence.get(spec.measurements or "")
        question = _corrected(question, source, evidence)
        found = candidates(question, precisions) if served else []
        choice = choose(question, found) if found else Choice(best=None, verdicts=())
        best = choice.best
        if best is None:
            from homeport.planning.checkpoints import quantised

            others = quantised(source)
            raise SpecError([nothing_works(spec.target, question, choice, refusals, path, others)])
        if self.explore:
            compared = _pipelines(question, precisions, best)
            if model.precision is None and source.architecture.quantization is None:
                compared += self._checkpoints(question, source, evidence, path)
            choice = msgspec.structs.replace(choice, verdicts=(*choice.verdicts, *compared))
        made = decide(
            spec.target,
            model,
            source,
            question,
            best,
            considered(choice) if self.explore else (),
            refusals,
            decisions,
        )
        any_gpu = spec.target.nodes.fallbacks == "any"
        if self.explore or any_gpu:
            made = with_fallbacks(made, fallbacks(question, best, found), used=any_gpu)
        if evidence is None:
            return made
        return msgspec.structs.replace(
            made, measurements=evidence.file, warnings=(*made.warnings, *evidence.remarks(made))
        )

    def _checkpoints(
        self, question: Question, source: ModelSource, evidence: "Evidence | None", path: Path_
    ) -> list[Verdict]:
        """Judge the quantised checkpoints of the model that the catalog knows, on every GPU that serves them."""
        from homeport.planning.checkpoints import quantised

        found: list[Verdict] = []
        for id_ in quantised(source):
            spec = msgspec.structs.replace(question.spec, checkpoint=id_)
            other = self.sources.find(spec, path)
            precisions: dict[str, list[tuple[Precision, bool]]] = {}
            for gpu_id, rows in question.offers.items():
                stored = precision.own(other.architecture, rows[0].gpu)
                if (
                    registry.unsupported(question.release, other.architecture, rows[0].gpu, stored.label)
                    is None
                ):
                    precisions[gpu_id] = [(msgspec.structs.replace(stored, checkpoint=id_), True)]
            asked = msgspec.structs.replace(
                question,
                spec=spec,
                architecture=other.architecture,
                offers={gpu_id: question.offers[gpu_id] for gpu_id in precisions},
            )
            asked = _corrected(asked, other, evidence)
            found += choose(asked, candidates(asked, precisions)).verdicts
        return found


def _pipelines(
    question: Question, precisions: dict[str, list[tuple[Precision, bool]]], best: Verdict
) -> list[Verdict]:
    """Pipelines within a node that would be cheaper than the choice, by an estimate that few measurements support."""
    asked = {gpu: [(stored, True) for stored, other in rows if not other] for gpu, rows in precisions.items()}
    judged = choose(question, candidates(question, asked, stages)).verdicts
    cost = best.usd_per_month
    return [
        v
        for v in judged
        if v.lost is None and cost is not None and v.usd_per_month is not None and v.usd_per_month < cost
    ]


def _corrected(question: Question, source: ModelSource, evidence: "Evidence | None") -> Question:
    """The question with what measured runs say of its candidates."""
    if evidence is None:
        return question
    evidence.learn(source)
    storage = STORAGE[question.spec.weights.source]
    return msgspec.structs.replace(question, correct=partial(evidence.correction, question, source, storage))


def _offers_for(spec: Spec, model: ModelSpec, path: Path_) -> dict[str, tuple[Offer, ...]]:
    """The target's offers, narrowed to the GPU or family that the spec names. Raises SpecError where nothing is left."""
    from homeport.catalog.gpus import gpus_matching

    target, bounds = spec.target, compliance.bounds_of(spec)
    offered = offers(target, bounds)
    if model.gpu is None:
        priced = {gpu_id: rows for gpu_id, rows in offered.items() if rows[0].price is not None}
        if offered and not priced:
            raise SpecError([_no_price_inside(target, bounds, path)])
        return priced
    try:
        names = [g.id for g in gpus_matching(model.gpu)]
    except NotFoundError as error:
        raise at(error, (*path, "gpu"), model.gpu) from error
    named = {gpu_id: rows for gpu_id, rows in offered.items() if gpu_id.split("/")[0] in names}
    if not named:
        where = f"{target.platform} in {region_of(target)}" if cloud_of(target) else target.platform
        raise SpecError(
            [
                Problem(
                    message=f"{where} has no priced instance with {model.gpu}",
                    path=(*path, "gpu"),
                    value=model.gpu,
                    help=f"priced here: {', '.join(sorted(offered))}",
                )
            ]
        )
    return named


def _no_price_inside(target: Target, bounds: Bounds, path: Path_) -> Problem:
    return Problem(
        message=f"no price of {target.platform} in {region_of(target)} or elsewhere inside {bounds} is known, so the "
        "cheapest GPU cannot be found",
        path=("target", "region") if target.region else ("target", "platform"),
        value=target.region or target.platform,
        help=f"{path[0]}[{path[1]}].gpu: H100 plans at an unknown price, and `cost --gpu-usd-per-hour` takes yours",
    )
