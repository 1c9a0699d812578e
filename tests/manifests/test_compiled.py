"""The compiled templates: as Jinja renders them, complete, and made from the templates that lie beside them."""

from collections.abc import Iterator
from contextlib import suppress

import jinja2
import msgspec
import pytest

from homeport.errors import SpecError
from homeport.manifests import provisioning, yamltext
from homeport.manifests.compiled import TEMPLATES
from homeport.manifests.render import KINDS, Item, Renderer
from scripts import compile_templates

MODELS = (
    {},
    {
        "weights": {"source": "pvc"},
        "replicas": {"min": 2, "max": 4},
        "api_key": {"secret": "keys", "key": "a"},
    },
    {"weights": {"source": "local", "path": "/data", "nodes": ["n1", "n2"]}, "scaling": {"by": "none"}},
    {"weights": {"source": "oci", "image": "ghcr.io/acme/weights:1"}, "replicas": {"min": 3, "max": 3}},
    {"expose": {"kind": "ingress", "host": "a.example.com", "class_name": "nginx", "tls_secret": "t"}},
    {"expose": {"kind": "ingress"}},
    {"expose": {"kind": "gateway", "gateway": "g", "gateway_namespace": "ns", "host": "a.example.com"}},
    {"expose": {"kind": "load_balancer"}, "hub_token": {"secret": "hub", "key": "token"}},
    {"expose": {"kind": "none"}, "adapters": [{"name": "legal", "source": "acme/legal-lora"}]},
    {"engine": "sglang"},
    {"engine": "trtllm"},
    {"scaling": {"by": "hpa", "threshold": 50}},
    {"replicas": {"min": 0}, "scaling": {"wake": "envoy_http_downstream_rq_active"}},
)


@pytest.fixture(scope="module")
def jinja() -> jinja2.Environment:
    made = compile_templates.environment()
    made.loader = jinja2.FileSystemLoader(compile_templates.TEMPLATES)
    made.undefined = jinja2.StrictUndefined
    made.filters |= {"yaml": yamltext.scalar, "block": yamltext.block, "comment": yamltext.comment}
    return made


def possible(items: Iterator[Item]) -> Iterator[Item]:
    """The objects up to the first that the platform cannot do."""
    with suppress(SpecError):
        yield from items


def test_it_is_made_from_the_templates() -> None:
    assert compile_templates.TARGET.read_text("utf-8") == compile_templates.compiled(), (
        "run `python scripts/compile_templates.py`"
    )


def test_there_is_one_template_for_each_kind_and_none_besides() -> None:
    files = {path.name for path in compile_templates.TEMPLATES.glob("*.yaml.j2")}
    assert files == {f"{stem}.yaml.j2" for _, stem, _ in KINDS.values()}
    assert set(TEMPLATES) == {stem for _, stem, _ in KINDS.values()}


def test_it_renders_what_jinja_renders(plans, jinja: jinja2.Environment) -> None:
    made = [
        plans.plan(plans.spec(platform, model))
        for platform in ("gke", "eks", "aks", "generic")
        for model in MODELS
    ]
    made += [
        plans.plan(plans.spec("eks", {}), nodes_per_replica=2, gpus_per_replica=16),
        plans.plan(plans.spec("gke", {"pipeline_parallel_size": 2}, target={"capacity": "spot"})),
        plans.plan(plans.spec("kind", {"engine": "simulator"})),
        plans.plan(plans.spec("minikube", {"engine": "cpu", "model": "Qwen/Qwen2.5-0.5B-Instruct"})),
    ]
    made += [
        plans.plan(
            plans.spec("eks", target={"nodes": {"by": "karpenter", "cluster": "ml", "zones": ["us-east-1a"]}})
        ),
        plans.plan(
            plans.spec("eks", target={"nodes": {"by": "karpenter", "cluster": "ml", "reservation": "cr-0a"}})
        ),
        plans.plan(plans.spec("aks", target={"nodes": {"by": "auto_provisioning"}, "capacity": "spot"})),
        plans.plan(plans.spec("gke", target={"nodes": {"by": "compute_class", "zones": ["us-central1-a"]}})),
        plans.plan(plans.spec("gke", target={"nodes": {"by": "compute_class", "reservation": "r"}})),
        plans.plan(plans.spec("gke", target={"nodes": {"by": "compute_class"}, "capacity": "spot"})),
    ]
    compared = set()
    for plan in made:
        for kind, value in provisioning.objects(plan):
            stem = KINDS[kind][1]
            assert TEMPLATES[stem](value) == jinja.get_template(f"{stem}.yaml.j2").render(v=value)
            compared.add(kind)
        renderer = Renderer(plan)
        for model in plan.models:
            for item in possible(renderer.items(model)):
                stem = KINDS[item.kind][1]
                expected = jinja.get_template(f"{stem}.yaml.j2").render(v=item.value)
                assert TEMPLATES[stem](item.value) == expected
                compared.add(item.kind)
    assert compared == set(KINDS) - {"Namespace"}


@pytest.mark.parametrize("text", ["a", "a\nb", "a\n\nb", "a\n", "", "\n", "  a\n  b\n\n"])
def test_indented_is_jinjas_indent(jinja: jinja2.Environment, text: str) -> None:
    assert yamltext.indented(text, 4) == jinja.from_string("{{ t | indent(4) }}").render(t=text)


@pytest.mark.parametrize(
    "template",
    ["{{ x | upper }}", "{% raw %}x{% endraw %}{{ x is defined }}", "{{ x + 1 }}", "{{ loop(x=1) }}"],
)
def test_what_is_not_compiled_is_refused(template: str, tmp_path) -> None:
    file = tmp_path / "x.yaml.j2"
    file.write_text(template)
    with pytest.raises(compile_templates.NotKnownError):
        list(compile_templates.Template(file).lines())


def test_a_field_that_the_values_lack_is_an_error() -> None:
    class Empty(msgspec.Struct):
        pass

    with pytest.raises(AttributeError):
        TEMPLATES["namespace"](Empty())
