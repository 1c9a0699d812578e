"""Per engine and version: image, flags, ports, probes, metrics, drain and caches."""
