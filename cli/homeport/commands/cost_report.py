"""`homeport cost --report`: the bill as a page."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homeport.commands.output import Output
    from homeport.commands.specs import SpecOptions
    from homeport.costs.types import Bill
    from homeport.spec.models import Spec


def writable(file: str) -> None:
    """Raise HomeportError where the page would overwrite something else, before any of the work is done."""
    from homeport.reports.save import check

    check(Path(file))


def write(
    out: "Output",
    file: str,
    bill: "Bill",
    spec: "Spec",
    options: "SpecOptions",
    *,
    plot: bool,
    sensitivity: bool,
) -> "Bill":
    """Write the page of a bill that has curves and sensitivity; return the bill with those of them that are printed.

    The plan is made again, with every option that was considered. Raises what planning raises, HomeportError where
    something else of that name exists, and EnvironmentProblem where the page cannot be written.
    """
    import msgspec

    from homeport.costs import inputs
    from homeport.costs.curves import calls_per_request
    from homeport.costs.replan import Replanner
    from homeport.planning.plan import Planner
    from homeport.reports.page import report
    from homeport.reports.save import save

    calls = calls_per_request(inputs.options(spec.costs, bill.method))
    replan = Replanner(Planner(options.base_dir, explore=True), spec)
    plan = replan(float(bill.requests_per_day * calls))
    save(Path(file), report(bill, plan))
    out.message(f"wrote {file}; any browser opens it")
    return msgspec.structs.replace(
        bill, curves=bill.curves if plot else None, sensitivity=bill.sensitivity if sensitivity else ()
    )
