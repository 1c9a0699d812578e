"""The user's file: its models, its positions, its errors and its JSON Schema."""
