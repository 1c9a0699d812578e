"""homeport's policies as a CrossGuard pack. Everything is in homeport_infra."""

from homeport_infra.policy_pack import pack

pack()
