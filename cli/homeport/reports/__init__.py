"""A bill as a page for people: one HTML file with charts, that needs no network and no script."""
