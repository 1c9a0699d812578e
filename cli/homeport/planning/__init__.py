"""Candidates, constraints, choice and reasons: from a spec to a plan."""
