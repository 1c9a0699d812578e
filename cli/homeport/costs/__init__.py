"""API prices, bills and breakeven. Money is Decimal."""
