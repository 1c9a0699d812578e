"""The options of `preview`, `up` and `destroy`: which stack, what it holds, and where its state lies."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from homeport.commands.choices import NearestChoice

if TYPE_CHECKING:
    from homeport_infra.settings import Settings


class StackOptions(NamedTuple):
    """Which stack, what it holds, and how it is worked on. Empty texts mean "not given".

    No struct: a help text does not wait for msgspec.
    """

    stack: str
    backend: str
    layer: tuple[str, ...]
    cluster: str
    location: str
    create_cluster: bool
    resource_group: str
    subnet: tuple[str, ...]
    node_role: str
    cluster_stack: str
    platform_stack: str
    only: tuple[str, ...]
    refresh: bool
    adopt: bool
    kubeconfig: str
    context: str

    def settings(self) -> "Settings":
        """The settings of the program. Raises SettingsError for layers that there are not."""
        from homeport_infra.settings import Settings, parse_layers

        return Settings(
            layers=parse_layers(",".join(self.layer)),
            cluster=self.cluster,
            location=self.location,
            create_cluster=self.create_cluster,
            resource_group=self.resource_group,
            subnets=self.subnet,
            node_role=self.node_role,
            cluster_stack=self.cluster_stack,
            platform_stack=self.platform_stack,
        )


OPTIONS = (
    click.option("--stack", default="dev", show_default=True, help="Name of the Pulumi stack."),
    click.option(
        "--backend",
        default="",
        metavar="URL",
        help="Where the state lies: file://, s3://, gs://, azblob:// or Pulumi's service.  [PULUMI_BACKEND_URL, else a folder of yours]",
    ),
    click.option(
        "--layer",
        multiple=True,
        type=NearestChoice(("cluster", "platform", "models")),
        help="Layers that the stack holds.  [models, and cluster where the spec makes the nodes]",
    ),
    click.option("--cluster", default="", metavar="NAME", help="Cluster that gets the GPU node pools.  [the spec's]"),
    click.option("--location", default="", help="Region or zone of that cluster.  [the spec's region]"),
    click.option("--create-cluster", is_flag=True, help="Make the cluster itself too."),
    click.option("--resource-group", default="", metavar="NAME", help="aks: the cluster's resource group."),
    click.option("--subnet", multiple=True, metavar="ID", help="eks: a subnet of the node groups."),
    click.option("--node-role", default="", metavar="ARN", help="eks: the role of the nodes."),
    click.option("--cluster-stack", default="", metavar="STACK", help="Stack that holds the layer cluster, as Pulumi names it."),
    click.option("--platform-stack", default="", metavar="STACK", help="Stack that holds the layer platform."),
    click.option(
        "--only", multiple=True, metavar="MODEL|URN", help="Only this model, or what this URN (with wildcards) names."
    ),
    click.option("--refresh", is_flag=True, help="Look at the cluster first, and name what others changed."),
    click.option("--adopt", is_flag=True, help="Take over objects that exist already, and fields that others own."),
    click.option(
        "--kubeconfig", default="", metavar="FILE", help="Who you are, and where the cluster is.  [KUBECONFIG, else ~/.kube/config]"
    ),
    click.option("--context", default="", metavar="NAME", help="Context of the kubeconfig.  [its current one]"),
)  # fmt: skip


def stack_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose a stack and its layers; the command gets them as `target: StackOptions`."""

    @wraps(command)
    def wrapped(*args: Any, **values: Any) -> Any:
        own = {name: values.pop(name) for name in StackOptions._fields}
        return command(*args, target=StackOptions(**own), **values)

    made: Callable[..., Any] = wrapped
    for option in reversed(OPTIONS):
        made = option(made)
    return made
