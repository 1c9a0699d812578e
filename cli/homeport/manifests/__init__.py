"""From a plan to Kubernetes documents through the templates, and onto the disk."""
