"""The flags of `homeport cost` that set a field of the spec: its `costs` section, and the shares of a hybrid split."""

from homeport.commands.specs import Flag


def _cost(name: str, text: str, *, hidden: bool = False) -> Flag:
    kind = int if name == "headroom_nodes" else float
    return Flag(f"--{name.replace('_', '-')}", ("costs", name), kind, text, hidden)


def _share(option: str, name: str, text: str) -> Flag:
    return Flag(option, ("models", 0, "workload", name), float, text)


# Rare ones are not in --help: the spec's reference describes them, each under the flag's name.
COST_FLAGS = (
    _share("--personal-data-share", "personal_data_share", "Share of requests with personal data."),
    _share("--simple-share", "simple_share", "Share that the own model answers well."),
    _cost("gpu_usd_per_hour", "Your price of a GPU hour."),
    _cost("engineering_usd_per_hour", "What an engineer's hour costs."),
    _cost("growth_percent", "How much the load has grown.", hidden=True),
    _cost("scaled_share", "Share of the month that replicas above the minimum run.", hidden=True),
    _cost("headroom_nodes", "Nodes of each kind kept free for failures and rollouts.", hidden=True),
    _cost("retries_percent", "Requests that are sent again.", hidden=True),
    _cost("cached_input_percent", "Input tokens that the APIs' caches serve.", hidden=True),
    _cost("batch_percent", "Requests that can wait for the APIs' batches.", hidden=True),
    _cost("fallback_percent", "Requests of a split that the second API answers.", hidden=True),
    _cost("storage_usd_per_gib_month", "Your price of a GiB of disk.", hidden=True),
    _cost("load_balancer_usd_per_hour", "Your price of a load balancer.", hidden=True),
    _cost("egress_usd_per_month", "Your bill of outgoing traffic at this load.", hidden=True),
    _cost("platform_usd_per_month", "Your price of the cluster and its system nodes.", hidden=True),
    _cost("engineering_hours_per_week", "Hours a week that own hosting takes.", hidden=True),
)
# What the guide's formulas have figures of their own for.
NOT_IN_GUIDE = tuple(
    f"--{name.replace('_', '-')}"
    for name in (
        "scaled_share",
        "headroom_nodes",
        "storage_usd_per_gib_month",
        "load_balancer_usd_per_hour",
        "egress_usd_per_month",
        "platform_usd_per_month",
        "engineering_usd_per_hour",
        "engineering_hours_per_week",
    )
)
