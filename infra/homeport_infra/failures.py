"""What the engine's output means: one sentence, and what to do next."""

import re

from homeport.errors import EnvironmentProblem

INTERRUPTED = 130


class Stopped(EnvironmentProblem):
    """The user stopped a run: what was done is in the state, the same command goes on (exit code 130)."""

    exit_code = INTERRUPTED


def failure(operation: str, output: str, *, stack: str = "dev", backend: str = "") -> EnvironmentProblem:
    """Say in a sentence what the output of a failed `operation` means; never with the password of a backend's URL."""
    shown = re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:…@", backend)
    output = output.replace(backend, shown) if backend else output
    for pattern, sentence, advice in KNOWN:
        found = re.search(pattern, output, re.DOTALL)
        if found:
            names = {k: v or "" for k, v in found.groupdict().items()}
            values = {"operation": operation, "stack": stack, "backend": shown, **names}
            return EnvironmentProblem(sentence.format(**values), help=advice.format(**values))
    return EnvironmentProblem(
        f"pulumi {operation} failed: {last_line(output)}",
        help="its messages are above; the state is kept, so that the same command goes on from there",
    )


KNOWN = (
    (
        r"(?:unknown stack|no stack named|failed to load checkpoint)[^\n]*?(?P<name>organization/[\w./-]+)",
        "there is no stack {name}, which this stack refers to",
        "deploy that layer first, or correct --cluster-stack and --platform-stack",
    ),
    (
        r"failed to load checkpoint: (?:place \d+: )?(?P<why>[^\n]+)",
        "the state of stack {stack} cannot be read: {why}",
        "put back the copy that lies beside it ({stack}.json.bak), or one of the folder backups, in {backend}",
    ),
    (
        r"\.pulumi/[^\n]*?(?P<why>read-only file system|no space left on device|disk quota exceeded|permission denied)",
        "the state of stack {stack} cannot be written: {why}",
        "see that {backend} has room and can be written, or name another place with --backend; then run the same command again, "
        "with --adopt where objects were made that the state does not know",
    ),
    (
        r"(?:unable to open state database|read \"\.pulumi/|PULUMI_ACCESS_TOKEN must be set)[^\n]*",
        "the state backend {backend} cannot be used",
        "check PULUMI_BACKEND_URL or --backend, and its credentials",
    ),
    (
        r"resource plugin '(?:pulumi-resource-)?(?P<plugin>[\w-]+)' at version (?P<version>v[\w.-]+)",
        "`homeport {operation}` needs Pulumi's plugin '{plugin}' {version}, which could not be downloaded",
        "pulumi plugin install resource {plugin} {version}",
    ),
    (
        r"incorrect passphrase",
        "the passphrase does not open stack {stack}: it was made with another one",
        "set PULUMI_CONFIG_PASSPHRASE to the passphrase that the stack was made with",
    ),
    (
        r"currently locked by.*?created by (?P<who>\S+) \(pid (?P<pid>\d+)\) at (?P<when>[^\n]+)",
        "stack {stack} is locked by {who} (process {pid}) since {when}",
        "wait for that run; if it is gone: PULUMI_BACKEND_URL={backend} pulumi cancel --stack organization/homeport/{stack}",
    ),
    (
        r"\[409\] Conflict: Another update is currently in progress",
        "stack {stack} is locked: another update of it is running",
        "wait for it; if it is gone: pulumi cancel --stack {stack}",
    ),
    (
        r"configured Kubernetes cluster is unreachable: (?P<why>[^\n]+)",
        "no cluster can be reached: {why}",
        "start the cluster or set KUBECONFIG; what was done is in the state, and the same command goes on from there",
    ),
    (
        r"(?:failed to reach the API server|connection refused|no route to host|i/o timeout)[^\n]*",
        "the cluster stopped answering during {operation}",
        "when it is back, run the same command again: it goes on from the state",
    ),
    (
        r'(?:resource "(?P<what>[^"]+)" already exists|(?P<kind>\S+ )"(?P<name>[^"]+)" already exists)',
        "{what}{kind}{name} already exists in the cluster, and stack {stack} did not make it",
        "give --adopt to take over what exists, or remove it",
    ),
    (
        r'conflicts? with "(?P<manager>[^"]+)"(?: using (?P<version>\S+))?:?\s*(?P<fields>[^\n]*)',
        "a field is owned by '{manager}', which changed it outside of this stack: {fields}",
        "give --adopt to take the field over, or leave it to '{manager}'",
    ),
    (
        r'(?P<who>User "[^"]+") cannot (?P<verb>\w+) resource "(?P<what>[^"]+)"(?: in API group "(?P<group>[^"]*)")?',
        "the cluster forbids it: {who} may not {verb} {what}",
        'ask for a role with apiGroups ["{group}"], resources ["{what}"], verbs ["{verb}"]',
    ),
    (
        r'no matches for kind "(?P<kind>[^"]+)" in version "(?P<version>[^"]+)"',
        "the cluster has no kind {kind} ({version}): its CRD is not installed",
        "install what brings it: `homeport render` prints the commands; the charts (not Karpenter, not the Gateway API) come "
        "with `homeport up --layer platform` too",
    ),
    (
        r"(?P<what>[^\n]*?) (?:did not become ready in time|timed out waiting to be Ready)",
        "{what} did not become ready in time",
        "`homeport doctor` says why; the same command goes on from there",
    ),
    (
        r"no stack named '(?P<name>[^']+)' found",
        "there is no stack {name} in this backend",
        "`PULUMI_BACKEND_URL={backend} pulumi stack ls --all` lists those that there are",
    ),
    (
        r"(?:could not parse|problem logging in|unable to (?:open|check)|no such bucket|error listing stacks)[^\n]*",
        "the state backend {backend} cannot be used",
        "check PULUMI_BACKEND_URL or --backend, and its credentials",
    ),
)


def last_line(text: str) -> str:
    """The last line of the CLI's output that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if line.startswith("error:")]
    return (wrong or lines or ["no message"])[-1]
