"""The Pulumi program: a homeport spec, deployed. Everything is in homeport_infra."""

from homeport_infra.program import main

main()
