"""The options that name a cluster, shared by every command that talks to one."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from homeport.cluster.client import Cluster


class ClusterOptions(NamedTuple):
    """What the command line said about the cluster. (No struct: a help text does not wait for msgspec.)"""

    kubeconfig: str | None
    context: str | None

    def connect(self) -> "Cluster":
        """Return the cluster; nothing is asked of it yet.

        Raises KubeconfigProblem, CredentialsRefused and EnvironmentProblem (the extra is not installed).
        """
        from homeport.cluster.client import connect

        return connect(Path(self.kubeconfig) if self.kubeconfig else None, self.context)

    def kubectl(self) -> str:
        """How a `kubectl` command for the same cluster begins."""
        import shlex

        return shlex.join(["kubectl", *self.words()])

    def words(self) -> list[str]:
        """The options as they were given: kubectl and homeport call them alike."""
        options = ("--kubeconfig", self.kubeconfig), ("--context", self.context)
        return [word for option, value in options if value for word in (option, value)]


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --kubeconfig and --context; the command gets them as `cluster: ClusterOptions`."""

    @wraps(command)
    def wrapped(*args: Any, kubeconfig: str | None, context: str | None, **values: Any) -> Any:
        return command(*args, cluster=ClusterOptions(kubeconfig, context), **values)

    made: Callable[..., Any] = wrapped
    for option in (
        click.option("--context", metavar="NAME", help="Context of the kubeconfig.  [its current one]"),
        click.option(
            "--kubeconfig",
            metavar="FILE",
            help="Who you are, and where the cluster is.  [KUBECONFIG, else ~/.kube/config]",
        ),
    ):
        made = option(made)
    return made
