"""Own hosting, an API or both: the verdict, its weights, and what would change it."""
