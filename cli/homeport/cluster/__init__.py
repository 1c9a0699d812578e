"""What a running cluster says: differences, status, findings, measurements. The only room that knows the Kubernetes client."""
