"""Models, GPUs, priced instances and API prices: data with a source and a date on every row."""
