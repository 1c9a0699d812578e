"""What pods take from the cluster: volumes, runtime classes, Secrets."""

import shlex
from collections.abc import Iterator, Sequence
from functools import partial

from homeport.cluster.doctor_types import Case, Check, Finding, Object, Unanswered, model_of, pod_specs
from homeport.manifests.prerequisites import secrets

DEFAULT_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)

# Drivers whose volumes one node mounts at a time (their documentation's table of access modes).
ONE_NODE_DRIVERS = {
    "pd.csi.storage.gke.io",
    "kubernetes.io/gce-pd",
    "ebs.csi.aws.com",
    "kubernetes.io/aws-ebs",
    "disk.csi.azure.com",
    "kubernetes.io/azure-disk",
    "rancher.io/local-path",
    "cinder.csi.openstack.org",
    "csi.vsphere.vmware.com",
}


def storage(case: Case) -> Iterator[Finding]:
    """Every volume claim names a StorageClass that exists, or there is exactly one default, with the access mode asked for."""
    claims = list(case.rendered("PersistentVolumeClaim"))
    for item, spec in pod_specs(case.objects):
        for volume in spec.get("volumes", ()):
            template = volume.get("ephemeral", {}).get("volumeClaimTemplate")
            if template:
                claims.append(
                    {
                        "kind": "PersistentVolumeClaim",
                        "metadata": {
                            **item["metadata"],
                            "name": f"{item['metadata']['name']}:{volume['name']}",
                        },
                        "spec": template["spec"],
                    }
                )
    if not claims:
        return
    classes = {c["metadata"]["name"]: c for c in case.facts.of("StorageClass")}
    defaults = _default_classes(classes)
    for claim in claims:
        name = claim["spec"].get("storageClassName")
        where = f"PersistentVolumeClaim {case.facts.namespace}/{claim['metadata']['name']}"
        finding = partial(Finding, check="storage", where=where, model=model_of(claim))
        if name == "":
            continue  # bound to a PersistentVolume by name
        if name not in classes and (name is not None or not defaults):
            there = ", ".join(classes) or "(the cluster has none)"
            make_default = name is None and bool(classes)
            yield finding(
                severity="error",
                what="no StorageClass is the default, and the claim names none"
                if name is None
                else f"there is no StorageClass '{name}'",
                why="the claim stays Pending, and so do the pods that mount it",
                advice=f"set weights.storage_class to one of: {there}"
                + (", or make one of them the default" if make_default else ""),
                repair=(_mark_default(next(iter(classes)) if len(classes) == 1 else "NAME"),)
                if make_default
                else ("kubectl get storageclass",),
            )
            continue
        if name is None and len(defaults) > 1:
            yield finding(
                severity="warning",
                what=f"{len(defaults)} StorageClasses call themselves the default: {', '.join(defaults)}",
                why=f"the newest wins, {defaults[-1]}, which may not be the one that was meant",
                advice="set weights.storage_class, or leave one default: these commands leave the one that wins now",
                repair=tuple(_unmark_default(classes[n]) for n in defaults[:-1]),
            )
        used = classes[name if name is not None else defaults[-1]]
        modes = claim["spec"].get("accessModes", ())
        if "ReadWriteMany" in modes and used.get("provisioner") in ONE_NODE_DRIVERS:
            others = [n for n, c in classes.items() if c.get("provisioner") not in ONE_NODE_DRIVERS]
            yield finding(
                severity="error",
                what=f"StorageClass '{used['metadata']['name']}' ({used['provisioner']}) makes volumes for one node, "
                "and the claim asks for ReadWriteMany",
                why="the driver refuses the volume, the claim stays Pending, and so do the pods",
                advice="set weights.storage_class to a class of a shared file system (Filestore, EFS, Azure Files, NFS, CephFS)"
                + (f"; not known to be for one node: {', '.join(others)}" if others else ""),
                repair=_shared_class(case, others),
            )
            continue
        yield finding(severity="ok", what=f"StorageClass '{used['metadata']['name']}' for {where}")


def runtime_classes(case: Case) -> Iterator[Finding]:
    """RuntimeClasses that pods name exist."""
    wanted = {
        spec["runtimeClassName"]: item
        for item, spec in pod_specs(case.objects)
        if spec.get("runtimeClassName")
    }
    if not wanted:
        return
    there = {c["metadata"]["name"] for c in case.facts.of("RuntimeClass")}
    finding = partial(Finding, check="runtime-class")
    for name, item in wanted.items():
        if name in there:
            yield finding(severity="ok", what=f"RuntimeClass '{name}' exists")
            continue
        yield finding(
            severity="error",
            what=f"there is no RuntimeClass '{name}'",
            where=f"{item['kind']} {case.facts.namespace}/{item['metadata']['name']}",
            why="the API server refuses pods that name it",
            repair=("kubectl get runtimeclass",),
        )


def secret_keys(case: Case) -> Iterator[Finding]:
    """The Secrets that the documents name exist, with the keys that are read, and these hold something."""
    commands = {p.name.removeprefix("Secret "): p.commands for p in secrets(case.plan)}
    for name, (keys, models) in _named_secrets(case).items():
        where = f"Secret {case.facts.namespace}/{name}"
        make = commands.get(name) or (create_secret(case.facts.namespace, name, keys),)
        if f"Secret {name}" in case.facts.missing:
            lack = case.facts.missing[f"Secret {name}"]
            raise Unanswered(where, lack)
        finding = partial(Finding, check="secrets", where=where, model=", ".join(models))
        there = case.facts.secrets.get(name)
        if there is None:
            yield finding(
                severity="error",
                what=f"there is no Secret '{name}'",
                why="pods that read it stay in CreateContainerConfigError",
                repair=make,
            )
            continue
        wrong = partial(
            finding,
            severity="error",
            repair=(f"kubectl --namespace {case.facts.namespace} delete secret {name}", *make),
        )
        gone = [key for key in keys if key not in there]
        empty = [key for key in keys if there.get(key) is False]
        for key in gone:
            yield wrong(
                what=f"the Secret '{name}' has no key '{key}'; it has: {', '.join(there)}",
                why="pods stay in CreateContainerConfigError",
            )
        for key in empty:
            yield wrong(
                what=f"the Secret '{name}' holds nothing under the key '{key}'",
                why="the Hub or the clients are refused",
            )
        if not gone and not empty:
            yield finding(
                severity="ok",
                what=f"Secret '{name}' has {', '.join(keys) or 'keys'}"
                + (" (values are not looked at)" if case.facts.hub is None else ""),
            )


def pull_secrets(case: Case) -> Iterator[Finding]:
    """Image pull secrets that pods or their service accounts name exist and are of a type that a kubelet reads."""
    names: dict[str, str] = {}
    for item, spec in pod_specs(case.objects):
        for reference in spec.get("imagePullSecrets", ()):
            names[reference["name"]] = f"{item['kind']} {item['metadata']['name']}"
    accounts = {a["metadata"]["name"] for a in case.rendered("ServiceAccount")}
    for account in case.facts.of("ServiceAccount"):
        if account["metadata"]["name"] in accounts:
            for reference in account.get("imagePullSecrets", ()):
                names[reference["name"]] = f"ServiceAccount {account['metadata']['name']}"
    env_secrets = _named_secrets(case)
    for name, user in names.items():
        make = (
            f"kubectl --namespace {case.facts.namespace} create secret docker-registry {name} "
            '--docker-server=REGISTRY --docker-username=USER --docker-password="$(cat FILE)"'
        )
        if f"Secret {name}" in case.facts.missing:
            lack = case.facts.missing[f"Secret {name}"]
            raise Unanswered(f"Secret {name}", lack)
        finding = partial(Finding, check="pull-secrets", where=user)
        there = case.facts.secrets.get(name)
        if there is None:
            yield finding(
                severity="error",
                what=f"there is no image pull secret '{name}'",
                why="a private image cannot be pulled",
                repair=(make,),
            )
        elif ".dockerconfigjson" not in there and ".dockercfg" not in there:
            yield finding(
                severity="error",
                what=f"the Secret '{name}' has no key .dockerconfigjson",
                why="the kubelet finds no credentials in it",
                advice="a Secret's type cannot be changed: name one of those that the first command lists, or make this one anew"
                if name not in env_secrets
                else "pods read this Secret's keys: name another one for pulling images",
                repair=(
                    f"kubectl --namespace {case.facts.namespace} get secrets "
                    "--field-selector type=kubernetes.io/dockerconfigjson",
                    *(
                        (f"kubectl --namespace {case.facts.namespace} delete secret {name}", make)
                        if name not in env_secrets
                        else ()
                    ),
                ),
            )
        else:
            yield finding(severity="ok", what=f"image pull secret '{name}' exists")


def _named_secrets(case: Case) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Secret -> the keys that pods read (none: all of them, as variables), and the models that do."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for item, spec in pod_specs(case.objects):
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            for variable in container.get("env", ()):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if reference:
                    keys, models = found.setdefault(reference["name"], ({}, {}))
                    keys[reference["key"]] = None
                    models[model_of(item) or ""] = None
            for source in container.get("envFrom", ()):
                if "secretRef" in source:
                    _, models = found.setdefault(source["secretRef"]["name"], ({}, {}))
                    models[model_of(item) or ""] = None
    return {name: (tuple(keys), tuple(models)) for name, (keys, models) in found.items()}


def named_secrets(case_objects: tuple[Object, ...]) -> list[str]:
    """The Secrets that pods of the rendered objects read or pull images with."""
    names: dict[str, None] = {}
    for _, spec in pod_specs(case_objects):
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            for variable in container.get("env", ()):
                reference = variable.get("valueFrom", {}).get("secretKeyRef")
                if reference:
                    names[reference["name"]] = None
            names |= {s["secretRef"]["name"]: None for s in container.get("envFrom", ()) if "secretRef" in s}
        names |= {r["name"]: None for r in spec.get("imagePullSecrets", ())}
    return list(names)


def create_secret(space: str, name: str, keys: tuple[str, ...]) -> str:
    """The command that makes a Secret of files (no keys: of a file of variables)."""
    files = " ".join(f"--from-file={shlex.quote(key)}=FILE" for key in keys) or "--from-env-file=FILE"
    return f"kubectl --namespace {space} create secret generic {name} {files}"


def _default_classes(classes: dict[str, Object]) -> list[str]:
    """The StorageClasses that call themselves the default; the last is the one that the API server takes.

    That is the newest, of those the first by name (admission plugin DefaultStorageClass).
    """
    found = [
        (c["metadata"].get("creationTimestamp", ""), n)
        for n, c in sorted(classes.items(), reverse=True)
        if _default_notes(c)
    ]
    return [name for _, name in sorted(found, key=lambda one: one[0])]


def _default_notes(storage_class: Object) -> list[str]:
    notes = storage_class["metadata"].get("annotations") or {}
    return [key for key in DEFAULT_CLASS if notes.get(key) == "true"]


def _mark_default(name: str) -> str:
    return _annotate(name, (DEFAULT_CLASS[0],), "true")


def _unmark_default(storage_class: Object) -> str:
    return _annotate(storage_class["metadata"]["name"], _default_notes(storage_class), "false")


def _annotate(name: str, keys: Sequence[str], value: str) -> str:
    notes = ",".join(f'"{key}":"{value}"' for key in keys)
    return f'kubectl patch storageclass {name} --patch \'{{"metadata":{{"annotations":{{{notes}}}}}}}\''


def _shared_class(case: Case, others: list[str]) -> tuple[str, ...]:
    """What shows the drivers of the classes that are there, or brings one for many nodes."""
    target = case.plan.spec.target
    if target.platform == "gke" and not others:
        place = target.region or "REGION"
        return (
            f"gcloud container clusters update CLUSTER --location {place} --update-addons GcpFilestoreCsiDriver=ENABLED",
        )
    return (
        "kubectl get storageclass --output custom-columns=NAME:.metadata.name,DRIVER:.provisioner,OPTIONS:.parameters",
    )


CHECKS: dict[str, Check] = {
    "storage": storage,
    "runtime-class": runtime_classes,
    "secrets": secret_keys,
    "pull-secrets": pull_secrets,
}
